import { execFileSync, spawn } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  watch,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { HELP, main, readArguments } from "../../../tools/init/main.js";
import { diffText } from "../../../tools/init/report.js";
import { until } from "../../support/server.js";
import { inSoak } from "../../support/soak.js";

const root = join(__dirname, "../../..");
const cli = join(root, "dist/cjs/cli.js");
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A project in a folder of its own, with the packages of this repository. */
function project(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "portico-init-"));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  mkdirSync(join(folder, "node_modules"));
  for (const name of ["express", "cors", "helmet", "morgan", "compression"])
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  symlinkSync(root, join(folder, "node_modules/express-portico"));
  return folder;
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The command in this process: it starts others for what `check` says. The files are those of the folder. */
async function run(cwd: string, ...args: string[]): Promise<Ended> {
  const { argv } = process;
  const told = { out: "", err: "" };
  const spies = [
    jest.spyOn(process, "cwd").mockReturnValue(cwd),
    jest.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((told.out += text))),
    jest.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((told.err += text))),
  ];
  process.argv = [process.execPath, cli];
  try {
    await main(args.map((arg) => (arg.startsWith("-") ? arg : join(cwd, arg))));
    return { code: (process.exitCode as number | undefined) ?? 0, ...told };
  } finally {
    process.exitCode = undefined;
    process.argv = argv;
    for (const spy of spies) spy.mockRestore();
  }
}

function runProgram(cwd: string, ...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [cli, "init", ...args], { cwd, timeout: 100_000 });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk) => (out += chunk));
    child.stderr.on("data", (chunk) => (err += chunk));
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

const PACKAGE = `{
    "name": "shop",
    "scripts": { "start": "node ./bin/www" },
    "dependencies": {
        "cors": "^2.8.5",
        "express": "^5.0.0",
        "morgan": "^1.10.0"
    }
}
`;
const WWW = `#!/usr/bin/env node\nrequire("http").createServer(require("../app")).listen(0);\n`;
const APP = `const express = require("express");
const cors = require("cors");
const morgan = require("morgan");
const app = express();
app.use(express.json());
app.use(cors());
app.use(morgan("tiny"));
app.get("/", (req, res) => res.send("hi"));
app.get("/down", () => { throw new Error("down"); });
module.exports = app;
`;

it("finds the app from package.json, prints the diff and what check says, and writes nothing", async () => {
  const folder = project({ "package.json": PACKAGE, "bin/www": WWW, "app.js": APP });
  const { code, out, err } = await runProgram(folder);
  expect([code, err]).toEqual([0, ""]);
  expect(out).not.toContain("\u001b");
  expect(out).toContain(
    '--- a/app.js\n+++ b/app.js\n@@ -1,10 +1,11 @@\n const express = require("express");\n-const cors',
  );
  expect(out).toContain('+        "express-portico": "^');
  expect(out).toMatch(/before: fault: cors is after jsonParser/);
  expect(out).toMatch(/before: advice: [\s\S]+after this change: fault: cors is after jsonParser/);
  expect(out).not.toContain("after this change: advice: there is no error handler");
  expect(out).toContain("app.js:7 morgan is now requestLog");
  expect(out).toContain("  npm uninstall cors morgan\n");
  expect(readFileSync(join(folder, "app.js"), "utf8")).toBe(APP);
  expect(readFileSync(join(folder, "package.json"), "utf8")).toBe(PACKAGE);
});

it("writes with --write, says what became better, and a second run has nothing to change", async () => {
  const folder = project({ "package.json": PACKAGE, "bin/www": WWW, "app.js": APP });
  const { out, code } = await run(folder, "app.js", "--write");
  expect(code).toBe(0);
  expect(out).toContain("no longer: advice: ");
  expect(out).toContain("now: fault: cors is after jsonParser");
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const added = PACKAGE.replace('"^5.0.0",', `"^5.0.0",\n        "express-portico": "^${version}",`);
  expect(readFileSync(join(folder, "package.json"), "utf8")).toBe(added);
  const again = await run(folder, "app.js", "--write");
  expect(again).toEqual({ code: 0, err: "", out: "Nothing to change.\n" });
});

inSoak(() =>
  it("does not write over changes that git does not have, except with --force", async () => {
    const folder = project({ "package.json": PACKAGE, "bin/www": WWW, "app.js": APP });
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: folder });
    git("init", "-q");
    const refused = await run(folder, "app.js", "--write", "--no-check");
    expect([refused.code, refused.out]).toEqual([2, ""]);
    expect(refused.err).toMatch(/^express-portico: these files have changes that git does not have/);
    expect(readFileSync(join(folder, "app.js"), "utf8")).toBe(APP);
    git("add", "app.js", "package.json");
    git("commit", "-q", "-m", "all");
    const written = await run(folder, "app.js", "--write", "--no-check");
    expect([written.code, written.err]).toEqual([0, ""]);
    writeFileSync(join(folder, "app.js"), APP);
    expect((await run(folder, "app.js", "--write", "--force", "--no-check")).code).toBe(0);
  }),
);

inSoak(() =>
  it("names the other files, and an app that cannot be imported is changed from its source", async () => {
    const folder = project({
      "package.json": `{"main": "index.js"}`,
      "index.js": `require("./routes/a")(require("./app"));\nprocess.exit(1);\n`,
      "app.js": `const app = require("express")();\nif (!process.env.NOWHERE) throw new Error("no database");\napp.get("/", (q, s) => s.end());\nmodule.exports = app;\n`,
      "routes/a.js": `const cors = require("cors");\nmodule.exports = (app) => app.get("/a", cors(), (q, s) => s.end());\n`,
    });
    const { code, out } = await run(folder);
    expect(code).toBe(0);
    expect(out).toContain("npx express-portico init routes/a.js");
    expect(out).toContain(
      "The app could not be imported, so this is from its source alone, and what check would find after the change is not known: ",
    );
    expect(out).toContain("no database");
    expect(out).toMatch(
      /app\.js:1 notFound and recover were not added: index\.js:1 may add to the app|notFound and recover go last/,
    );
    expect(out).toContain('{"main": "index.js", "dependencies": {"express-portico": "^');
  }),
);

inSoak(() => {
  it("says that check finds nothing after the change, also if the package is not installed", async () => {
    const app = `import express from "express";\nconst app = express();\napp.get("/", (q, s) => s.end());\nexport default app;\n`;
    const folder = project({
      "package.json": "{}",
      "app.mjs": app,
      "app.cjs": APP.replace("app.use(express.json());\napp.use(cors());\n", ""),
    });
    rmSync(join(folder, "node_modules/express-portico"));
    for (const file of ["app.mjs", "app.cjs"]) {
      const { out } = await runProgram(folder, file); // Jest finds the package everywhere
      expect(out).toMatch(/before: advice: [\s\S]+after this change: nothing\n/);
    }
    expect(readdirSync(folder).sort()).toEqual(["app.cjs", "app.mjs", "node_modules", "package.json"]);
  });

  it("says that the changed app cannot be imported, by the name of the original", async () => {
    const app = `const express = require("express");\nif (!/^app/.test(require("path").basename(__filename))) throw new Error(__filename);\nconst app = express();\napp.get("/", (q, s) => s.end());\nmodule.exports = app;\n`;
    const folder = project({ "package.json": "{}", "app.js": app });
    const { out } = await run(folder, "app.js");
    expect(out).toMatch(/The changed app could not be imported: .*\/app\.js/);
  });

  it.each([
    "SIGTERM",
    "SIGINT",
    "SIGHUP",
  ] as const)("removes the file beside the original on %s", async (signal) => {
    const app = `const express = require("express");\nconst app = express();\napp.get("/", (q, s) => s.end());\nif (!/^app/.test(require("path").basename(__filename))) { require("fs").writeFileSync("begun", String(process.pid)); for (;;); }\nmodule.exports = app;\n`;
    const folder = project({ "package.json": "{}", "app.js": app });
    const child = spawn(process.execPath, [cli, "init", "app.js"], { cwd: folder, stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", (_code, by) => resolve(by)));
    await new Promise<void>((resolve) => {
      const watcher = watch(folder, (_event, name) => {
        if (name !== "begun") return;
        watcher.close();
        resolve();
      });
    });
    expect(readdirSync(folder).some((name) => name.startsWith(".express-portico-"))).toBe(true);
    child.kill(signal);
    expect(await ended).toBe(signal);
    const reader = Number(readFileSync(join(folder, "begun"), "utf8"));
    await until(() => !isRunning(reader));
    expect(readdirSync(folder).sort()).toEqual(["app.js", "begun", "node_modules", "package.json"]);
  });
});

/** Whether a process runs; one that has ended, and that its parent has not asked for, does not. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

it("follows an alias of a folder, to find the app and to find who adds to it", async () => {
  const folder = project({
    "package.json": `{"main": "src/index.ts"}`,
    "src/index.ts": `import { app } from "@/web/app";\nimport { routes } from "@/routes";\napp.use(routes);\n`,
    "src/web/app.ts": `import express from "express";\nexport const app = express();\napp.use(express.json());\n`,
    "src/routes.ts": "export const routes = 1;\n",
  });
  const { out } = await run(folder, "--no-check");
  expect(out).toContain("+++ b/src/web/app.ts");
  expect(out).toContain("notFound and recover were not added: src/index.ts:3 may add to the app");
});

it("finds who adds to the app in what a compiler made of a call", async () => {
  const folder = project({
    "package.json": "{}",
    "dist/app.js": `const express_1 = require("express");\nexports.make = () => {\n  const app = (0, express_1.default)();\n  app.use(express_1.default.json());\n  return app;\n};\n`,
    "dist/index.js": `const app_1 = require("./app");\nconst app = (0, app_1.make)();\napp.get("/", (q, s) => s.end());\n`,
  });
  const { out } = await run(folder, "dist/app.js", "--no-check");
  expect(out).toContain("notFound and recover were not added: dist/index.js:3 may add to the app");
});

it("takes the only file that makes an app, and names several", async () => {
  const app = `require("express")().get("/", (q, s) => s.end());\n`;
  const folder = project({
    "package.json": `{"main": "index.js"}`,
    "index.js": "1",
    "web/app.js": `const app = ${app}`,
    "test/app.js": app,
  });
  expect((await run(folder, "--no-check")).code).toBe(0);
  writeFileSync(join(folder, "web/other.js"), app);
  const { code, err } = await run(folder, "--no-check");
  expect([code, err]).toEqual([
    2,
    expect.stringContaining(
      "these files make one:\n  npx express-portico init web/app.js\n  npx express-portico init web/other.js",
    ),
  ]);
});

it("names the apps of a workspace whose package.json starts none", async () => {
  const app = `const app = require("express")();\napp.get("/", (q, s) => s.end());\n`;
  const folder = project({
    "package.json": `{"workspaces": ["packages/*"]}`,
    "packages/a/a.js": app,
    "packages/b/b.js": app,
  });
  const { code, err } = await run(folder, "--no-check");
  expect([code, err]).toEqual([
    2,
    expect.stringMatching(
      /no file was found that starts the app: .*; these files make one:\n.* init packages\/a\/a\.js\n.* init packages\/b\/b\.js/,
    ),
  ]);
});

it("prints JSON, and exits with 2 if there is no file or no app in it", async () => {
  const folder = project({ "package.json": PACKAGE, "app.js": APP, "bad.js": "const = 1", "none.js": "1" });
  const { out } = await run(folder, "app.js", "--json", "--no-check");
  expect(JSON.parse(out)).toMatchObject({
    file: "app.js",
    isWritten: false,
    uninstall: ["cors", "morgan"],
    left: [],
  });
  for (const [file, said] of [
    ["missing.js", "there is no file missing.js"],
    ["bad.js", "bad.js could not be read: Unexpected token"],
    ["none.js", "no app is made with express() in none.js"],
    ["node_modules", "node_modules is a directory"],
  ]) {
    const { code, err } = await (file === "missing.js" ? runProgram : run)(folder, file!);
    expect([code, err]).toEqual([2, expect.stringContaining(said!)]);
  }
});

it.each([
  [["app.js", "--write"], { file: "app.js", write: true, force: false, json: false, check: true }],
  [[], { file: undefined, write: false, force: false, json: false, check: true }],
  [
    ["--no-check", "--force", "--json"],
    { file: undefined, write: false, force: true, json: true, check: false },
  ],
  [["a.js", "--help"], "help"],
])("reads the arguments %j", (given, wanted) => {
  expect(readArguments(given)).toEqual(wanted);
});

it("says what is wrong with the arguments", () => {
  expect(String(readArguments(["--wirte"]))).toContain('unknown option "--wirte"; did you mean --write?');
  expect(String(readArguments(["a.js", "b.js"]))).toContain("one file at a time");
  expect(HELP).toContain("--no-check");
});

it("the diff has colours and no control characters of the file", () => {
  const file = { file: "a", name: "a.js", before: "a\u001b[2J\r\nb\r\n", after: "a\u001b[2J\r\nc\r\n" };
  expect(diffText(file, (_style, text) => `<${text.replaceAll("\u001b", "?")}>`)).toBe(
    "<--- a/a.js>\n<+++ b/a.js>\n<@@ -1,2 +1,2 @@>\n a?[2J\n<-b>\n<+c>\n",
  );
});
