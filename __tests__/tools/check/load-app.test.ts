import { spawn } from "node:child_process";
import { join } from "node:path";

const script = join(__dirname, "apps/load-all.ts");

const LOADED: Record<string, [what: string, routes: string[]]> = {
  "listens-callback.cjs": [
    "an app that listens, exports nothing, and adds a route after that",
    ["/", "/added-later"],
  ],
  "listens-function.mjs": ["an app that a server's listener calls", ["/"]],
  "database-first.mjs": ["an app that is made once its database has answered", ["/"]],
  "listens-late.mjs": ["an app that is made and started after a wait", ["/"]],
  "two-servers.mjs": ["of two apps that listen, the one with the most in it", ["/", "/users"]],
  "local.mjs": ["an app whose server is for this machine alone", ["/"]],
  "served.cjs": ["an app that serve() starts", ["/"]],
  "keeps.cjs": ["an app that is created and not exported, with another mounted in it", ["/admin/users", "/"]],
  "named.mjs": ["an app that is exported by another name", ["/"]],
  "bag.cjs": ["module.exports = { start, app }, without a call of start", ["/"]],
  "server.cjs": ["the app of a server that is exported", ["/"]],
  "class.mjs": ["the app of an instance", ["/"]],
  "factory-default.mjs": ["what the default export makes", ["/"]],
  "factory-async.mjs": ["what createApp() makes in its time, without a call of closeApp()", ["/"]],
  "factory-starts.cjs": ["what bootstrap() starts", ["/"]],
  "promise.cjs": ["a promise of an app", ["/"]],
  "typed.ts": ["an app in TypeScript, with an enum and a .js that is a .ts", ["/"]],
};

const REFUSED: Record<string, RegExp> = {
  "environment.mjs":
    /could not be imported: "CHECKED_APP_KEY" is required\. If it needs environment variables/,
  "needs.mjs":
    /exports createApp\(\), which makes no app when it is called without arguments: .*Write a module/,
  "handlers.mjs": /exports no Express app, and starts none \(it exports handler\)/,
};

let results: Record<string, unknown>;
beforeAll(async () => {
  const files = [...Object.keys(LOADED), ...Object.keys(REFUSED)];
  const child = spawn(process.execPath, ["--import", "tsx", script, ...files], {
    cwd: join(__dirname, "apps/kinds"),
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (chunk) => (out += chunk));
  await new Promise((resolve) => child.on("close", resolve));
  results = JSON.parse(out) as Record<string, unknown>;
});

it.each(Object.entries(LOADED))("%s: reads %s", (file, [, routes]) => {
  expect(results[file]).toEqual({
    routes,
    isServed: file === "served.cjs",
    isLocal: ["local.mjs", "database-first.mjs"].includes(file),
  });
});

it.each(Object.entries(REFUSED))("%s is refused with a reason", (file, reason) => {
  expect(results[file]).toMatch(reason);
});
