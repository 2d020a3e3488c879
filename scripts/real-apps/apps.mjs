// Real Express applications from npm packages: how each is loaded, what check says to it, and what init is tried on.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const cache = join(root, "node_modules", ".cache", "real-apps");

/** An app of express-generator, made and installed as its README says. */
const generated = (...args) => ({
  package: "express-generator@4.16.1",
  init: { files: ["app.js"], ask: ["/", "/users", "/stylesheets/style.css", "/nowhere"] },
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

export const APPS = {
  "express-generator, pug": { ...generated("--view=pug"), expected: [] },
  "express-generator, ejs": { ...generated("--view=ejs"), expected: [] },
  "express-generator, hbs": { ...generated("--view=hbs"), expected: [] },
  "express-generator, no view": {
    ...generated("--no-view"),
    expected: ["no-error-handler at 7 the router at /users"],
  },
  "json-server": {
    package: "json-server@0.17.4",
    init: { files: ["lib/server/defaults.js"], ask: ["/", "/posts", "/posts/1", "/posts/2", "/nowhere"] },
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
    init: {
      files: ["lib/http/index.js"],
      ask: ["/", "/stats", "/job/types", "/active", "/job/1", "/stylesheets/main.css", "/nowhere"],
    },
    load({ require, redis }) {
      if (redis !== undefined) require("kue").createQueue({ redis });
      return require("kue").app;
    },
    expected: ["no-error-handler at 22 GET /delayed"],
  },
  "bull-arena": {
    package: "bull-arena@4.10.0",
    init: {
      files: ["src/server/app.js"],
      ask: ["/", "/b/a", "/b/a/waiting", "/b/c", "/dashboard.css", "/nowhere"],
    },
    with: ["bull@4.16.5"],
    load({ require, redis }) {
      const Bull = redis === undefined ? class {} : require("bull");
      const queues = [{ name: "a", hostId: "b", type: "bull", redis }];
      return require("bull-arena")({ Bull, queues }, { disableListen: true });
    },
    expected: ["no-error-handler at 3 the router", "async-handler-on-express-4 at 3.1.1.1 handler"],
  },
  "parse-dashboard": {
    package: "parse-dashboard@5.4.0",
    init: {
      files: ["Parse-Dashboard/app.js", "Parse-Dashboard/server.js"],
      ask: [
        "/dashboard",
        "/dashboard/",
        "/dashboard/parse-dashboard-config.json",
        "/dashboard/apps",
        "/nowhere",
      ],
    },
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
    init: {
      files: ["dist/index.cjs", "dist/module.mjs"],
      ask: ["/peers/", "/peers/peerjs/id", "/peers/peerjs/peers", "/nowhere"],
    },
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
    init: { files: ["dist/cjs/server/express.js"], ask: ["/", "POST /mcp", "/nowhere"] },
    load: ({ require }) => require("@modelcontextprotocol/sdk/server/express.js").createMcpExpressApp(),
    expected: [],
  },
  "bull-board": {
    package: "@bull-board/express@9.10.1",
    init: { files: ["dist/ExpressAdapter.js"], ask: ["/", "/api/queues", "/queue/x", "/static/nowhere"] },
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
    init: {
      files: ["lib/server/server.js"],
      ask: ["/ping", "/", "POST /", "/probot/static/robot.svg", "/nowhere"],
    },
    load({ require }) {
      const { Probot, Server } = require("probot");
      const options = { appId: 1, privateKey: "k", secret: "s" };
      return new Server({ Probot: Probot.defaults(options) }).expressApp;
    },
    expected: ["no-error-handler at 4 GET /ping"],
  },
  loopback: {
    package: "loopback@3.28.0",
    init: { files: ["lib/server-app.js"], ask: ["/api", "/api/Users", "/api/Users/1", "/nowhere"] },
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
    init: {
      files: ["src/mountebank.js"],
      ask: ["/", "/imposters", "/imposters/1", "/config", "/logs", "/metrics", "/nowhere"],
    },
    load: ({ require }) =>
      require("mountebank").createApp({
        port: 2525,
        loglevel: "error",
        log: { level: "error", transports: {} },
      }),
    expected: ["error-handler-not-last at 9 errorHandler", "async-handler-on-express-4 at 12.1 get"],
  },
};

/** The folder that an app's package is installed in. */
export function installed({ package: name, with: others = [] }) {
  const folder = join(cache, name.replace(/[@/]/g, "_"));
  if (!existsSync(join(folder, "node_modules"))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
    install(folder, name, ...others);
  }
  return folder;
}

export function install(folder, ...packages) {
  const quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps", "--silent"];
  execFileSync("npm", ["install", "--prefix", folder, ...quiet, ...packages], {
    cwd: folder,
    stdio: "ignore",
  });
}
