import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"];
const find = (name: string) =>
  directories.map((folder) => join(folder, name)).find((file) => existsSync(file));

/** The programs of Prometheus, where they are installed: Debian's package has both. */
export const prometheus = find("prometheus")!;
export const promtool = find("promtool")!;

/** `describe` for tests that need Prometheus: without it they fail in CI, and are skipped elsewhere. */
export function describeWithPrometheus(name: string, body: () => void): void {
  if (prometheus !== undefined && promtool !== undefined) {
    describe(name, body);
  } else if (process.env.CI === "true") {
    test(`${name}: needs prometheus`, () => {
      throw new Error("prometheus is not installed (Debian: apt-get install prometheus)");
    });
  } else {
    console.warn(`SKIPPED, no prometheus is installed: ${name}`);
    describe.skip(name, body);
  }
}
