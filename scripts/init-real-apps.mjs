// Runs `express-portico init --write` on copies of real Express applications, and their own tests before and after.
//
//   npm run init:real-apps
//   npm run init:real-apps -- express
//
// The copies are kept in portico-init-real-apps in the folder for temporary files. Their package's scripts are not run when they are installed.
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { initPublished, startRedis } from "./real-apps/init.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Not below node_modules, where Jest finds no tests. */
const cache = join(tmpdir(), "portico-init-real-apps");
const cli = join(root, "dist", "cjs", "cli.js");

const mocha = (...args) => [
  "node_modules/.bin/mocha",
  "--exit",
  "--timeout",
  "30000",
  "--reporter",
  "json",
  ...args,
];

/** The examples of Express with its acceptance tests: each is an app of its own. */
const EXAMPLES = {
  repository: "expressjs/express",
  commit: "a3714473",
  install: ["redis@5", "online"], // of two examples
  prepare(folder) {
    // The examples require Express by its path.
    symlinkSync("..", join(folder, "node_modules", "express"));
    for (const file of filesBelow(join(folder, "examples"))) {
      const text = readFileSync(file, "utf8");
      writeFileSync(
        file,
        text.replace(/require\('(?:\.\.\/){1,2}\.\.\/?(?:lib\/express)?'\)/g, "require('express')"),
      );
    }
  },
  apps: (folder) =>
    readdirSync(join(folder, "examples"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => ({
        name: `express/examples/${name}`,
        entry: `examples/${name}/index.js`,
        test: existsSync(join(folder, "test/acceptance", `${name}.js`))
          ? mocha("--require", "test/support/env", "--check-leaks", `test/acceptance/${name}.js`)
          : undefined,
      })),
};

const vitest = ["node_modules/.bin/vitest", "run", "--reporter=json"];
const jest = (...args) => ["node_modules/.bin/jest", "--json", "--forceExit", ...args];

/** A project with one app. */
const one = (repository, commit, entry, test, more = {}) => ({
  repository,
  commit,
  ...more,
  apps: () => [{ name: repository, entry, test }],
});

const PROJECTS = {
  express: EXAMPLES,
  "express-api-starter": one("w3cj/express-api-starter", "ece2dc5", "src/app.js", vitest),
  "express-api-starter-ts": one("w3cj/express-api-starter-ts", "c46ad45", "src/app.ts", vitest),
  "express-typescript": one("edwinhern/express-typescript", "f795eab", "src/server.ts", vitest),
  "nodejs-rest-http": one("nodeshift-starters/nodejs-rest-http", "a51576f", "app.js", mocha(), {
    without: ["nodeshift"],
  }),
  "nodejs-health-check": one("nodeshift-starters/nodejs-health-check", "b35f562", "app.js", mocha(), {
    without: ["nodeshift"],
  }),
  "json-server": one("typicode/json-server", "v0.17.4", "src/server/defaults.js", jest("__tests__/server"), {
    without: ["jest"], // Jest 26 does not know modules named `node:…`
    install: ["jest@29", "babel-jest@29"],
  }),
  "peerjs-server": one("peers/peerjs-server", "cfa79ac", "src/index.ts", jest(), {
    without: ["parcel", "@parcel/core", "semantic-release", "@codedependant/semantic-release-docker"],
  }),
  "probot-source": one(
    "probot/probot",
    "v12.4.0",
    "src/server/server.ts",
    jest("--globals", JSON.stringify({ "ts-jest": { diagnostics: false } }), "test/server"),
    // Jest 26 does not know modules named `node:…`
    { without: ["jest", "ts-jest"], install: ["jest@29", "ts-jest@29"] },
  ),
  "loopback-source": one("strongloop/loopback", "v3.28.0", "lib/server-app.js", mocha(), {
    without: ["karma", "karma-browserify", "karma-phantomjs-launcher", "phantomjs-prebuilt"],
  }),
  "mountebank-source": one("bbyars/mountebank", "v2.9.1", "src/mountebank.js", mocha("--recursive", "test"), {
    without: ["firebase-tools", "snyk", "mbTest", "coveralls", "w3cjs"],
  }),
};

const wanted = process.argv.slice(2);
execFileSync(process.execPath, [join(root, "scripts", "build.mjs")], { stdio: "inherit" });
mkdirSync(cache, { recursive: true });
let failed = 0;
const rows = [];
const redis = await startRedis(6379); // where the examples of Express look for it
for (const [name, project] of Object.entries(PROJECTS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for (const row of runProject(name, project)) report(row);
}
for await (const row of initPublished(cache, wanted)) report(row);
redis.stop();
writeFileSync(join(cache, "results.json"), JSON.stringify(rows, undefined, 2));
console.log(
  failed === 0
    ? `\nnone of ${rows.length} is worse than before`
    : `\n${failed} of ${rows.length} are worse than before`,
);
process.exitCode = failed === 0 ? 0 : 1;

function report(row) {
  rows.push(row);
  if (row.isWorse) failed++;
  console.log(
    `${row.isWorse ? "WORSE" : "ok   "} ${row.name}: ${row.done}; ${row.before} before, ${row.after} after`,
  );
  for (const one of row.left) console.log(`        ${one}`);
}

function* runProject(name, project) {
  const original = join(cache, name);
  if (!existsSync(join(original, "node_modules"))) fetchProject(original, project);
  for (const app of project.apps(original)) {
    const copy = join(cache, `${name}-changed`);
    rmSync(copy, { recursive: true, force: true });
    cpSync(original, copy, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => path !== join(original, "node_modules") && !path.includes("/.git/"),
    });
    symlinkSync(join(original, "node_modules"), join(copy, "node_modules"));
    yield runApp(copy, app);
  }
}

function fetchProject(folder, { repository, commit, prepare, install = [], without = [] }) {
  rmSync(folder, { recursive: true, force: true });
  execFileSync("git", ["clone", "--quiet", `https://github.com/${repository}`, folder]);
  execFileSync("git", ["checkout", "--quiet", commit], { cwd: folder });
  if (without.length > 0) {
    const file = join(folder, "package.json");
    const description = JSON.parse(readFileSync(file, "utf8"));
    for (const name of without) delete description.devDependencies[name];
    writeFileSync(file, `${JSON.stringify(description, undefined, 2)}\n`);
  }
  const quiet = [
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--legacy-peer-deps",
    "--silent",
    "--no-package-lock",
  ];
  execFileSync("npm", ["install", ...quiet, ...install], { cwd: folder, stdio: "ignore" });
  mkdirSync(join(folder, "node_modules"), { recursive: true });
  symlinkSync(root, join(folder, "node_modules", "express-portico"));
  prepare?.(folder);
}

function runApp(folder, { name, entry, test, environment }) {
  // An app without tests must be readable after the change if it is before.
  const wasLoaded = test === undefined && entry !== undefined && isLoaded(folder, entry);
  const before = test && runTests(folder, test, environment);
  const args = ["init", entry, "--write", "--force", "--json", "--no-check"];
  const { stdout, stderr, status } = spawnSync(process.execPath, [cli, ...args], {
    cwd: folder,
    encoding: "utf8",
  });
  if (status !== 0) {
    return {
      name,
      done: "not changed",
      left: [stderr.trim()],
      before: shown(before),
      after: "-",
      isWorse: false,
    };
  }
  const report = JSON.parse(stdout);
  const after = test && runTests(folder, test, environment);
  const again = spawnSync(process.execPath, [cli, ...args], { cwd: folder, encoding: "utf8" });
  const isStable = again.status === 0 && JSON.parse(again.stdout).diffs.length === 0;
  const loads = wasLoaded ? isLoaded(folder, entry) : true;
  const isWorse =
    !isStable ||
    !loads ||
    (test !== undefined &&
      (before.passed === 0 || after.passed < before.passed || after.failed > before.failed));
  const left = [
    ...report.left.map(({ line, text }) => `${report.file}:${line} ${text}`),
    ...(isStable ? [] : ["a second run changes it again"]),
    ...(loads ? [] : ["it does not start"]),
    ...(isWorse && after ? after.failures : []),
  ];
  const done =
    report.done.length === 0 ? "nothing" : [...new Set(report.done.map(({ text }) => text))].join(", ");
  return {
    name,
    done,
    left,
    before: before ? shown(before) : wasLoaded ? "starts" : "does not start",
    after: after ? shown(after) : wasLoaded && loads ? "starts" : "does not start",
    isWorse,
  };
}

function runTests(folder, [command, ...args], environment = {}) {
  const { stdout = "" } = spawnSync(join(folder, command), args, {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, NODE_ENV: "test", ...environment },
    maxBuffer: 2 ** 28,
    timeout: 300_000,
  });
  const json = stdout.slice(stdout.search(/^\{\r?\n? *"(?:stats|num)/m));
  try {
    const result = JSON.parse(json.slice(0, json.lastIndexOf("}") + 1));
    if (result.stats === undefined)
      return {
        passed: result.numPassedTests,
        failed: result.numFailedTests,
        failures: result.testResults.flatMap((one) =>
          one.assertionResults.filter(({ status }) => status === "failed").map(({ fullName }) => fullName),
        ),
      };
    const { passes, failures } = result.stats;
    return {
      passed: passes,
      failed: failures,
      failures: result.failures.map(({ fullTitle, err }) => `${fullTitle}: ${err.message}`),
    };
  } catch {
    return { passed: 0, failed: 1, failures: [`no result: ${stdout.slice(-300)}`] };
  }
}

function shown(result) {
  return result === undefined ? "none" : `${result.passed} of ${result.passed + result.failed}`;
}

/** Whether `check` can read the app: it is imported, and nothing listens. */
function isLoaded(folder, file) {
  return (
    spawnSync(process.execPath, [cli, "check", file], { cwd: folder, timeout: 90_000, stdio: "ignore" })
      .status !== 2
  );
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith(".js") && statSync(path).isFile());
}
