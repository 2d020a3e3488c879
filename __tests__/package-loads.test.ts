import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { root } from "./support/markdown.js";

const run = promisify(execFile);

/** Packages that are not bundled, so that only our bytes are counted. */
const external = ["express", "helmet", "jose", "lru-cache", "morgan", "negotiator", "piscina", "prom-client"];

async function bundle(code: string, format: "esm" | "cjs" = "esm", outfile = join(tmpdir(), "out.js")) {
  return build({
    stdin: { contents: code, resolveDir: root },
    bundle: true,
    platform: "node",
    format,
    external,
    outfile,
    write: false,
    tsconfigRaw: {}, // the repository's paths lead to the sources; users get the built package
    logLevel: "silent",
  });
}

describe("bundling", () => {
  it.each([
    ["cors", 80_000],
    ["securityHeaders", 70_000],
    ["recover", 75_000],
    ["requestLog", 120_000],
  ])("a bundle of %s from the root has at most %i bytes", async (name, bytes) => {
    const { outputFiles, warnings } = await bundle(
      `import { ${name} } from "express-portico"; console.log(${name})`,
    );
    expect(warnings).toEqual([]);
    expect(outputFiles[0]!.contents.length).toBeLessThan(bytes);
  });

  it.each([
    "esm",
    "cjs",
  ] as const)("a bundle as %s runs, with the modules that are loaded late", async (format) => {
    const folder = mkdtempSync(join(tmpdir(), "portico-bundle-"));
    try {
      const file = join(folder, format === "esm" ? "app.mjs" : "app.cjs");
      const code = `
        import { cache, cors, portico, requestLog } from "express-portico";
        cache();
        console.log(portico().before.length, typeof cors(), typeof requestLog({ format: "combined" }));`;
      const { warnings } = await build({
        stdin: { contents: code, resolveDir: root },
        bundle: true,
        platform: "node",
        format,
        external: ["express", "piscina", "prom-client"],
        // As bundlers recommend for CommonJS packages in a bundle of ES modules.
        banner: {
          js:
            format === "esm"
              ? 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);'
              : "",
        },
        outfile: file,
        logLevel: "silent",
      });
      expect(warnings).toEqual([]);
      expect((await run(process.execPath, [file], { cwd: folder })).stdout).toBe("3 function function\n");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("portico() loads", () => {
  /** The files of this package, and of what it depends on, that Node has read. */
  async function loadedBy(options: string): Promise<string[]> {
    const script = `require("express-portico").portico(${options}); console.log(Object.keys(require.cache).join("\\n"))`;
    const { stdout } = await run(process.execPath, ["-e", script], { cwd: root });
    return stdout.trim().split("\n");
  }
  const LATE =
    /\/(?:allowed-hosts|cors|csp-reports|csrf|cache|compress|timeout|body-limit|chain)\/main\.js$|\/lru-cache\//;

  it("no code of members that are off", async () => {
    const off =
      "{ allowedHosts: false, cors: false, csrf: false, timeout: false, bodyLimit: false, cache: undefined }";
    for (const options of ["", off]) {
      expect((await loadedBy(options)).filter((file) => LATE.test(file))).toEqual([]);
    }
  });

  it.each([
    ["timeout", "{ timeout: 5 }", ["timeout"]],
    ["compress", "{ compress: {} }", ["compress"]],
    ["bodyLimit", "{ bodyLimit: 5 }", ["body-limit"]],
    ["csrf", "{ csrf: {} }", ["csrf"]],
    ["cspReports", '{ cspReports: { path: "/csp", onReport() {} } }', ["chain", "csp-reports"]],
    ["cache", "{ cache: {} }", ["cache", "lru-cache"]],
  ])("for %s alone what it needs", async (_name, options, expected) => {
    const names = (await loadedBy(options)).flatMap((file) =>
      LATE.test(file) ? [/([\w-]+)\/main\.js$/.exec(file)?.[1] ?? "lru-cache"] : [],
    );
    expect([...new Set(names)].sort()).toEqual(expected);
  });
});

/** A project that has installed the package and its dependencies. */
function project(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "portico-loads-"));
  mkdirSync(join(folder, "node_modules"));
  for (const name of ["express", "helmet", "jose", "lru-cache", "morgan", "negotiator"])
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  mkdirSync(join(folder, "node_modules/express-portico"));
  for (const name of ["dist", "package.json"])
    symlinkSync(join(root, name), join(folder, "node_modules/express-portico", name));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

it("Jest in ESM mode loads the whole package, jwt too", async () => {
  const folder = project({
    "package.json": JSON.stringify({ type: "module", jest: { transform: {}, testEnvironment: "node" } }),
    "a.test.js": `
      import { cache, ConfigError, cors, requestLog } from "express-portico";
      import { jwt } from "express-portico/jwt";
      test("loads", () => {
        expect(() => jwt({})).toThrow(ConfigError);
        expect(typeof cors()).toBe("function");
        cache();
        requestLog({ format: "combined" });
      });`,
  });
  try {
    const args = ["--experimental-vm-modules", join(root, "node_modules/jest/bin/jest.js"), "--rootDir", "."];
    const { stderr } = await run(process.execPath, args, { cwd: folder });
    expect(stderr).toMatch(/Tests:\s+1 passed, 1 total/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);

it("a ConfigError of one copy of the package is one for the other copy, and no other error is", async () => {
  const folder = project({
    "a.mjs": `
      import { createRequire } from "node:module";
      import { ConfigError, cors } from "express-portico";
      import { jwt } from "express-portico/jwt";
      const other = createRequire(import.meta.url)("express-portico/jwt").jwt;
      class Derived extends ConfigError {}
      const told = [];
      for (const fail of [() => jwt({}), () => other({}), () => cors({ orgin: 1 }), () => { throw new TypeError("no"); }]) {
        try {
          fail();
        } catch (error) {
          told.push(error instanceof ConfigError, error instanceof Derived);
        }
      }
      console.log(told.join());`,
  });
  try {
    const { stdout } = await run(process.execPath, ["a.mjs"], { cwd: folder });
    expect(stdout).toBe("true,false,true,false,true,false,false,false\n");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
