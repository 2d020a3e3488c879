import { execFile, execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import * as api from "../src/index.js";
import { inSoak } from "./support/soak.js";

const root = join(__dirname, "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const subpaths = Object.keys(manifest.exports).filter((path) => path !== "." && !path.endsWith(".json"));

/** The suite runs after a build (`pretest`), so what is tested here is what is published. */
const dist = (format: "esm" | "cjs", path = "index.js") => join(root, "dist", format, path);

it("the package is built", () => {
  expect(existsSync(dist("esm")) && existsSync(dist("cjs"))).toBe(true);
});

it("the root exports these names and no others", () => {
  expect(Object.keys(api).sort()).toMatchInlineSnapshot(`
[
  "AbortRequest",
  "ConfigError",
  "allowedHosts",
  "apiKey",
  "around",
  "authenticate",
  "authorize",
  "background",
  "basic",
  "bearer",
  "bodyLimit",
  "cache",
  "chain",
  "checkPipeline",
  "compress",
  "contextOf",
  "cors",
  "cspReports",
  "csrf",
  "currentContext",
  "describePipeline",
  "expressServerOptions",
  "health",
  "isCompressible",
  "loadShed",
  "memoryStore",
  "metrics",
  "notFound",
  "portico",
  "recover",
  "redisStore",
  "requestContext",
  "requestLog",
  "requireScopes",
  "securityHeaders",
  "serve",
  "timeout",
  "unless",
  "when",
]
`);
});

it("every folder in src has a subpath, except lib", () => {
  const tools = ["./inspector", "./pipeline", "./testing"];
  const folders = readdirSync(join(root, "src"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== "lib")
    .map(({ name }) => `./${name}`);
  expect(subpaths.sort()).toEqual([...folders, ...tools].sort());
});

it.each([".", ...subpaths])("the subpath %s resolves to existing files", (subpath) => {
  const entry = manifest.exports[subpath];
  for (const condition of ["import", "require"]) {
    for (const file of Object.values(entry[condition]))
      expect(existsSync(join(root, file as string))).toBe(true);
  }
});

/** What a process finds out about the built package. */
interface Found {
  /** Whether the code of securityHeaders, and helmet, are loaded before its factory is called, and after; and other code. */
  readonly loaded: readonly boolean[];
  readonly same: readonly boolean[];
  readonly strange: readonly string[];
  readonly unrecognized: readonly unknown[];
  readonly names: readonly string[];
  /** New listeners of the process, and active resources, after the package was imported. */
  readonly active: readonly [listeners: number, resources: number];
}

const LOADED = `
  const read = () => Object.keys(require.cache).join().replaceAll(require("node:path").sep, "/");
  const before = read();
  root.securityHeaders();
  const after = read();
  const loaded = [before, after].flatMap((text) => [text.includes("dist/cjs/security-headers/main.js"), text.includes("/helmet/")]);
  loaded.push(/(?:cors|cache|request-log)\\/main/.test(after));`;

let byRequire: Found;
let byImport: Pick<Found, "loaded" | "active">;
beforeAll(async () => {
  [byRequire, byImport] = await Promise.all([
    node([
      "-e",
      `
      const root = require("express-portico");
      ${LOADED}
      const others = ${JSON.stringify(subpaths.filter((path) => !/inspector|jwt|offload|testing/.test(path)))}.map(
        (path) => require("express-portico" + path.slice(1)),
      );
      const strange = others.flatMap((other) => Object.keys(other).filter((name) => other[name] !== root[name]));
      const express = require("express");
      const factories = "cors,requestLog,recover,securityHeaders,cspReports,authenticate,authorize,requireScopes,requestContext,timeout,compress,cache,notFound,csrf,allowedHosts,bodyLimit,health,loadShed,metrics,portico".split(",");
      const unrecognized = factories.filter((name) => {
        const app = express();
        app.use(root[name]);
        return root.checkPipeline(app)[0]?.rule !== "not-called";
      });
      const plain = "requestLog,recover,securityHeaders,requestContext,compress,cache,notFound".split(",");
      const handlers = [
        ...plain.map((name) => root[name]()),
        root.cors({ origin: "https://a.example" }),
        root.timeout(5),
        root.metrics({ registry: new (require("prom-client").Registry)() }),
        root.cspReports({ onReport() {} }),
        root.authenticate(root.apiKey({ keys: ["k"] })),
        root.authorize(() => true),
        root.requireScopes("a"),
      ];
      const names = handlers.map(({ name }) => name);
      import("express-portico").then((byImport) => {
        const same = [root.cors === byImport.cors, root.ConfigError === byImport.ConfigError];
        console.log(JSON.stringify({ loaded, same, strange, unrecognized, names }));
      });`,
    ]),
    node([
      "--input-type=module",
      "-e",
      `
      const listeners = process.eventNames().length;
      const root = await import("express-portico");
      const busy = process.getActiveResourcesInfo().filter((name) => /Timeout|Immediate|TCP|UDP|Server|Worker/.test(name));
      const active = [process.eventNames().length - listeners, busy.length];
      const { createRequire } = await import("node:module");
      const require = createRequire(process.cwd() + "/app.js");
      ${LOADED}
      console.log(JSON.stringify({ loaded, active }));`,
    ]),
  ]).then((texts) => texts.map((text) => JSON.parse(text)) as [Found, Found]);
});

it("require and import give the same functions", () => {
  expect(byRequire.same).toEqual([true, true]);
});

it("a subpath has the functions and classes of the root", () => {
  expect(byRequire.strange).toEqual([]);
});

it("what stands for code that is loaded late has the names and members of that code", () => {
  const late = subpaths.filter((path) => existsSync(dist("cjs", `${path}/main.js`)));
  expect(late.length).toBeGreaterThan(8);
  const shape = (file: string) =>
    Object.entries(require(file) as Record<string, { name?: string }>)
      .map(([name, value]) => [name, value.name, Object.keys(value)])
      .sort();
  for (const path of late)
    expect(shape(dist("cjs", `${path}/index.js`))).toEqual(shape(dist("cjs", `${path}/main.js`)));
});

it("the check recognizes each factory of the built package that is not called", () => {
  expect(byRequire.unrecognized).toEqual([]);
});

it.each([
  "require",
  "import",
])("by %s, the code of a middleware is loaded when its factory is first called", (way) => {
  expect((way === "require" ? byRequire : byImport).loaded).toEqual([false, false, true, true, false]);
});

it("handlers have the names of their factories, for printed stacks", () => {
  const names =
    "requestLog,recover,securityHeaders,requestContext,compress,cache,notFound,cors,timeout,metrics,cspReports,authenticate,authorize,requireScopes";
  expect(byRequire.names.join()).toBe(names);
});

it("importing the package starts no listener, timer or socket, and prints nothing", () => {
  expect(byImport.active).toEqual([0, 0]); // what it printed would be no JSON
});

it.each([
  ["cors", []],
  ["context", []],
  ["security-headers", ["helmet"]],
  ["request-log", ["morgan"]],
  ["recover", ["negotiator"]],
  ["auth", ["negotiator"]],
  ["csp-reports", ["negotiator"]],
  ["background", []],
  ["cache", ["lru-cache"]],
  ["compress", []],
  ["health", ["negotiator"]],
  ["inspector", ["helmet", "negotiator"]],
  ["jwt", ["jose/errors", "jose/jws/compact/verify", "jose/key/import"]],
  ["metrics", ["prom-client"]],
  ["offload", []],
  ["pipeline", []],
  ["serve", []],
  ["testing", []],
])("the subpath %s loads only these packages: %j", (concern, outside) => {
  for (const format of ["esm", "cjs"] as const) {
    expect([...externals(dist(format, `${concern}/index.js`))].sort()).toEqual(outside);
  }
});

it("what is published is what was built, and the docs", () => {
  const named = manifest.files.filter((name: string) => !name.startsWith("!"));
  expect(named).toEqual(["dist", "docs", "CHANGELOG.md"]);
});

// npm takes two seconds.
inSoak(() =>
  it("the published package has only what it needs", () => {
    const [packed] = JSON.parse(
      execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
        cwd: root,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }),
    );
    const files = packed.files.map(({ path }: { path: string }) => path) as string[];
    expect(files).toEqual(
      expect.arrayContaining([
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "dist/esm/index.js",
        "dist/cjs/package.json",
        "dist/cjs/offload/worker.cjs",
        "dist/inspector-page/app.js",
      ]),
    );
    const strange = files.filter(
      (path) => !/^(dist|docs)\/|^(LICENSE|README\.md|CHANGELOG\.md|package\.json)$/.test(path),
    );
    expect(strange).toEqual([]);
  }),
);

async function node(args: string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, args, { cwd: root })).stdout;
}

/** The packages that a file and its imports load, at once or later. */
function externals(entry: string, seen = new Set<string>(), found = new Set<string>()): Set<string> {
  if (seen.has(entry)) return found;
  seen.add(entry);
  const text = readFileSync(entry, "utf8");
  for (const [, name] of text.matchAll(/(?:from|import|require\()\s*["']([^"'\s]+)["']/g)) {
    if (name!.startsWith(".")) externals(resolve(dirname(entry), name!), seen, found);
    else if (!name!.startsWith("node:") && !builtinModules.includes(name!)) found.add(name!);
  }
  return found;
}
