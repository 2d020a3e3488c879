// Reads real Express applications from npm packages, and compares what checkPipeline reports with the list below. A report
// that is not in the list is wrong, or new.
//
//   npm run check:real-apps
//   npm run check:real-apps -- kue
//
// The packages are kept in node_modules/.cache/real-apps, about 500 MB. None of them listens.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const cache = join(root, "node_modules", ".cache", "real-apps");

/** An app of express-generator, made and installed as its README says. */
const generated = (...args) => ({
  package: "express-generator@4.16.1",
  async load({ require, folder }) {
    const made = join(folder, args.join("") || "default");
    if (!existsSync(join(made, "node_modules"))) {
      const bin = join(dirname(require.resolve("express-generator/package.json")), "bin", "express-cli.js");
      execFileSync(process.execPath, [bin, "--force", ...args, made], { stdio: "ignore" });
      install(made);
    }
    return createRequire(join(made, "app.js"))("./app.js");
  },
});

const APPS = {
  "express-generator, pug": { ...generated("--view=pug"), expected: [] },
  "express-generator, ejs": { ...generated("--view=ejs"), expected: [] },
  "express-generator, hbs": { ...generated("--view=hbs"), expected: [] },
  "express-generator, no view": {
    ...generated("--no-view"),
    expected: ["no-error-handler at 7 the router at /users"],
  },
  "json-server": {
    package: "json-server@0.17.4",
    load({ require }) {
      const server = require("json-server");
      const app = server.create();
      app.use(server.defaults());
      app.use(server.router({ posts: [{ id: 1 }] }));
      return app;
    },
    expected: ["cors-reflects-credentials at 2 cors", "log-not-first at 4 morgan"],
  },
  kue: {
    package: "kue@0.11.6",
    load: ({ require }) => require("kue").app,
    expected: ["no-error-handler at 22 GET /delayed"],
  },
  "bull-arena": {
    package: "bull-arena@4.10.0",
    load({ require }) {
      const queues = [{ name: "a", hostId: "b", type: "bull" }];
      return require("bull-arena")({ Bull: class {}, queues }, { disableListen: true });
    },
    expected: ["no-error-handler at 3 the router", "async-handler-on-express-4 at 3.1.1.1 handler"],
  },
  "parse-dashboard": {
    package: "parse-dashboard@5.4.0",
    load({ require }) {
      const app = { serverURL: "http://localhost", appId: "a", masterKey: "m", appName: "n" };
      const outer = require("express")();
      outer.use("/dashboard", new (require("parse-dashboard"))({ apps: [app] }));
      return outer;
    },
    expected: [],
  },
  peer: {
    package: "peer@1.0.2",
    load({ require }) {
      const app = require("express")();
      const { createServer } = require("node:http");
      app.use("/peers", require("peer").ExpressPeerServer(createServer()));
      return app;
    },
    expected: ["no-error-handler at 1 the app at /peers"],
  },
  "the SDK of the Model Context Protocol": {
    package: "@modelcontextprotocol/sdk@1.32.2",
    load: ({ require }) => require("@modelcontextprotocol/sdk/server/express.js").createMcpExpressApp(),
    expected: [],
  },
  "bull-board": {
    package: "@bull-board/express@9.10.1",
    load({ require }) {
      const serverAdapter = new (require("@bull-board/express").ExpressAdapter)();
      serverAdapter.setBasePath("/queues");
      require("@bull-board/api").createBullBoard({ queues: [], serverAdapter });
      return serverAdapter.getRouter();
    },
    expected: [],
  },
  probot: {
    package: "probot@12.4.0",
    load({ require }) {
      const { Probot, Server } = require("probot");
      const options = { appId: 1, privateKey: "k", secret: "s" };
      return new Server({ Probot: Probot.defaults(options) }).expressApp;
    },
    expected: ["no-error-handler at 4 GET /ping"],
  },
  loopback: {
    package: "loopback@3.28.0",
    load({ require }) {
      const loopback = require("loopback");
      const app = loopback();
      app.use("/api", loopback.rest());
      app.use(loopback.urlNotFound());
      return app;
    },
    expected: ["no-error-handler at 2 raiseUrlNotFoundError"],
  },
  mountebank: {
    package: "mountebank@2.9.1",
    load: ({ require }) =>
      require("mountebank").createApp({
        port: 2525,
        loglevel: "error",
        log: { level: "error", transports: {} },
      }),
    expected: ["error-handler-not-last at 9 errorHandler", "async-handler-on-express-4 at 12.1 get"],
  },
};

const wanted = process.argv.slice(2);
const named = Object.entries(APPS).filter(([name]) => wanted.length === 0 || wanted.includes(name));
const [, , only, inside] = process.argv;
if (inside === "--inside") await report(only);
else process.exitCode = all() ? 0 : 1;

/** Each in a child process, because some leave timers and connections behind when they are loaded. */
function all() {
  execFileSync(process.execPath, [join(root, "scripts", "build.mjs")], { stdio: "inherit" });
  let failed = 0;
  for (const [name, { expected }] of named) {
    let text;
    try {
      text = execFileSync(process.execPath, [fileURLToPath(import.meta.url), name, "--inside"], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        timeout: 120_000,
      });
    } catch {
      text = "";
    }
    const line = text.split("\n").find((one) => one.startsWith("{"));
    const result = line === undefined ? undefined : JSON.parse(line);
    const found = result?.findings.map(({ rule, at }) => `${rule} at ${at}`) ?? ["it could not be loaded"];
    const right = JSON.stringify(found) === JSON.stringify(expected);
    if (!right) failed++;
    console.log(
      `${right ? "ok  " : "OTHER"} ${name} (Express ${result?.express ?? "?"}, ${result?.nodes ?? 0} nodes)`,
    );
    for (const one of result?.findings ?? []) console.log(`     ${one.level} ${one.message}`);
    if (!right) console.log(`     found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
  }
  console.log(
    failed === 0 ? `\nall ${named.length} as they are known` : `\n${failed} are not as they are known`,
  );
  return failed === 0;
}

async function report(name) {
  const app = APPS[name];
  const folder = join(cache, app.package.replace(/[@/]/g, "_"));
  if (!existsSync(join(folder, "node_modules"))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
    install(folder, app.package);
  }
  const require = createRequire(join(folder, "app.js"));
  const { checkPipeline, describePipeline } = createRequire(import.meta.url)("express-portico");
  const loaded = await app.load({ require, folder });
  const count = (node) => node.children.reduce((sum, child) => sum + count(child), 1);
  const express = loaded._router === undefined ? 5 : 4;
  console.log(
    JSON.stringify({ findings: checkPipeline(loaded), nodes: count(describePipeline(loaded)), express }),
  );
  process.exit(0);
}

function install(folder, ...packages) {
  const quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps", "--silent"];
  execFileSync("npm", ["install", "--prefix", folder, ...quiet, ...packages], {
    cwd: folder,
    stdio: "ignore",
  });
}
