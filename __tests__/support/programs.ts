import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/sbin", "/usr/local/bin"];
const find = (name: string) =>
  directories.map((folder) => join(folder, name)).find((file) => existsSync(file));

/** The programs of Prometheus, where they are installed: Debian's package has both. */
export const prometheus = find("prometheus")!;
export const promtool = find("promtool")!;
export const nginx = find("nginx")!;

/** `describe` for tests that need a program of the machine: without it they fail in CI, and are skipped elsewhere. */
export function describeWith(program: "nginx" | "prometheus", name: string, body: () => void): void {
  if (find(program) !== undefined) {
    describe(name, body);
  } else if (process.env.CI === "true") {
    test(`${name}: needs ${program}`, () => {
      throw new Error(`${program} is not installed (Debian: apt-get install ${program})`);
    });
  } else {
    console.warn(`SKIPPED, no ${program} is installed: ${name}`);
    describe.skip(name, body);
  }
}
