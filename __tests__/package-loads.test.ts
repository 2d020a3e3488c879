import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { root } from "./support/markdown.js";
import { inSoak, oneIn } from "./support/soak.js";

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
  it.each(
    oneIn(3, [
      ["cors", 80_000],
      ["securityHeaders", 70_000],
      ["recover", 75_000],
      ["requestLog", 120_000],
    ] as const),
  )("a bundle of %s from the root has at most %i bytes", async (name, bytes) => {
    const { outputFiles, warnings } = await bundle(
      `import { ${name} } from "express-portico"; console.log(${name})`,
    );
    expect(warnings).toEqual([]);
    expect(outputFiles[0]!.contents.length).toBeLessThan(bytes);
  });

  it.each(
    oneIn(2, ["esm", "cjs"] as const),
  )("a bundle as %s runs, with the modules that are loaded late", async (format) => {
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
    for (const options of oneIn(2, [off, ""])) {
      expect((await loadedBy(options)).filter((file) => LATE.test(file))).toEqual([]);
    }
  });

  const members: [string, string, string[]][] = [
    ["timeout", "{ timeout: 5 }", ["timeout"]],
    ["compress", "{ compress: {} }", ["compress"]],
    ["bodyLimit", "{ bodyLimit: 5 }", ["body-limit"]],
    ["csrf", "{ csrf: {} }", ["csrf"]],
    ["cspReports", '{ cspReports: { path: "/csp", onReport() {} } }', ["chain", "csp-reports"]],
    ["cache", "{ cache: {} }", ["cache", "lru-cache"]],
  ];
  inSoak(() =>
    it.each(oneIn(5, members))("for %s alone what it needs", async (_name, options, expected) => {
      const names = (await loadedBy(options)).flatMap((file) =>
        LATE.test(file) ? [/([\w-]+)\/main\.js$/.exec(file)?.[1] ?? "lru-cache"] : [],
      );
      expect([...new Set(names)].sort()).toEqual(expected);
    }),
  );
});

describe("the inspector", () => {
  const APP = `
    const app = require("express")();
    const { before, after } = portico({ log: false });
    app.use(before);
    app.get("/", chain((_req, _res, next) => next()).then((_req, res) => void res.send("x")));
    app.use(after);
    const server = require("node:http").createServer(app).listen(0, "127.0.0.1", async () => {
      const { status } = await fetch("http://127.0.0.1:" + server.address().port);
      console.log([status, ...Object.keys(require.cache)].join("\\n"));
      server.closeAllConnections();
      server.close();
    });`;

  /** The status of a request, and the inspector's files that were loaded until its answer. */
  async function loadedWith(code: string): Promise<[string, string[]]> {
    const { stdout } = await run(process.execPath, ["-e", code + APP], { cwd: root });
    const [status = "", ...files] = stdout.trim().split("\n");
    return [status, files.filter((file) => /\/dist\/\w+\/(?:inspector\/|shared\/watching)/.test(file))];
  }
  const ROOT = 'const { chain, portico } = require("express-portico");';

  it("costs a request nothing if it is not imported: no file of it is loaded, nor what watches layers and responses", async () => {
    expect(await loadedWith(ROOT)).toEqual(["200", []]);
  });

  inSoak(() =>
    it("is loaded where it is imported", async () => {
      const [status, files] = await loadedWith(`${ROOT} require("express-portico/inspector");`);
      expect([status, files.length >= 2]).toEqual(["200", true]);
    }),
  );
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
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

inSoak(() =>
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
      const args = [
        "--experimental-vm-modules",
        join(root, "node_modules/jest/bin/jest.js"),
        "--rootDir",
        ".",
      ];
      const { stderr } = await run(process.execPath, args, { cwd: folder });
      expect(stderr).toMatch(/Tests:\s+1 passed, 1 total/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }),
);

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

describe("where prom-client is not installed", () => {
  /** The app of a workspace, and what it has in its own `node_modules`. */
  const APP = (imports: string) => `
    ${imports}
    const problems = [];
    try {
      metrics({ registry: new Registry() });
    } catch (error) {
      problems.push(error.constructor === ConfigError, error.problems[0].code, error.message);
    }
    const meter = {
      createHistogram: () => ({ record() {} }),
      createUpDownCounter: () => ({ add() {} }),
      createCounter: () => ({ add() {} }),
    };
    console.log(JSON.stringify([...problems, typeof metrics({ meter }), portico().before.length > 0]));`;
  const ESM = APP(`
    import { ConfigError, metrics, portico } from "express-portico";
    import { Registry } from "prom-client";`);
  const CJS = APP(`
    const { ConfigError, metrics, portico } = require("express-portico");
    const { Registry } = require("prom-client");`);

  let folder: string;
  beforeAll(() => {
    folder = project({ "app/app.mjs": ESM, "app/app.cjs": CJS });
    // A copy: Node looks for packages where the real file is.
    const copied = join(folder, "node_modules/express-portico");
    rmSync(copied, { recursive: true });
    for (const name of ["dist", "package.json"])
      cpSync(join(root, name), join(copied, name), { recursive: true });
    // The app has it where the package cannot find it.
    mkdirSync(join(folder, "app/node_modules"));
    symlinkSync(join(root, "node_modules/prom-client"), join(folder, "app/node_modules/prom-client"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const expected = [
    true,
    "ERR_PORTICO_MISSING_PACKAGE",
    expect.stringMatching(
      /registry.* needs the package prom-client, which could not be loaded \(Cannot find module 'prom-client'\)\. Run: npm install prom-client/,
    ),
    "function",
    true,
  ];

  it.each(
    oneIn(2, ["app.mjs", "app.cjs"]),
  )("metrics({ registry }) says so, and all else works: %s", async (name) => {
    const { stdout, stderr } = await run(process.execPath, [name], { cwd: join(folder, "app") });
    expect(JSON.parse(stdout)).toEqual(expected);
    expect(stderr).toBe("");
  });

  inSoak(() =>
    it("a bundle can be made, and does so too", async () => {
      const outfile = join(folder, "out/out.cjs");
      const { warnings } = await build({
        entryPoints: [join(folder, "app/app.mjs")],
        bundle: true,
        platform: "node",
        format: "cjs",
        outfile,
        logLevel: "silent",
      });
      expect(warnings).toEqual([]);
      const { stdout } = await run(process.execPath, [outfile], { cwd: folder });
      expect(JSON.parse(stdout)).toEqual(expected);
    }),
  );
});
