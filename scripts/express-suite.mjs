// Runs Express's own test suite with each of its apps behind `serve`, `expressServerOptions`, and `serve` with HTTP/2.
//
//   npm run check:express-suite
//   npm run check:express-suite -- 5.3 http2    one version, one way of serving
//
// The suites are kept in portico-express-suite in the folder for temporary files.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const cache = join(tmpdir(), "portico-express-suite");

/** `commit`: whose tests; `code`: the installed package that is tested, instead of the code of that commit. */
const SUITES = {
  "5.2.1": { commit: "v5.2.1" },
  // 5.3.0 has no tag: these are the tests of the main branch.
  5.3: { commit: "a3714473", code: "express" },
  4.22: { commit: "v4.22.2", code: "express4" },
};
const WAYS = ["serve", "options", "http2"];

/** What HTTP/2 cannot do, and the tests that need it. */
const OVER_HTTP2 = [
  {
    reason: "there is TLS, and the test expects http",
    tests: [
      "req .protocol should return the protocol string",
      'req .protocol when "trust proxy" is enabled should ignore X-Forwarded-Proto if socket addr not trusted',
      'req .protocol when "trust proxy" is enabled should default to http',
      'req .protocol when "trust proxy" is disabled should ignore X-Forwarded-Proto',
      "req .secure when X-Forwarded-Proto is missing should return false when http",
      "req .secure when X-Forwarded-Proto is present should return false when http",
    ],
  },
  {
    reason: "Node refuses this Host",
    tests: [
      "res when accepting html should escape the url",
      "res when accepting html should not render evil javascript links in anchor href (prevent XSS)",
      "res when accepting text should encode the url",
    ],
  },
  {
    reason: "HTTP/2 has no Transfer-Encoding",
    tests: ["chunked", "compress", "deflate", "gzip"].map(
      (coding) =>
        `res when Transfer-Encoding header is present should not add Content-Length header if Transfer-Encoding header is equal to ${coding}`,
    ),
  },
  {
    reason: "HTTP/2 has no such status",
    tests: [101, 700, 800, 900].map(
      (status) => `res .status(code) accept valid ranges should set the response status code to ${status}`,
    ),
  },
];

const wanted = process.argv.slice(2);
const chosen = (of) =>
  of.some((one) => wanted.includes(one)) ? of.filter((one) => wanted.includes(one)) : of;
const unknown = wanted.filter((one) => !(one in SUITES) && !WAYS.includes(one));
if (unknown.length > 0) throw new Error(`not ${unknown}: ${[...Object.keys(SUITES), ...WAYS].join(", ")}`);

let failed = 0;
execFileSync(process.execPath, [join(root, "scripts", "build.mjs")], { stdio: "inherit" });
for (const version of chosen(Object.keys(SUITES))) {
  const folder = fetchSuite(version, SUITES[version]);
  for (const way of ["plain", ...chosen(WAYS)]) {
    if (way === "http2" && version.startsWith("4")) continue; // `http2` needs Express 5
    const { stats, failures, fastSend } = run(folder, way);
    const counts = `${stats.passes} of ${stats.passes + stats.failures} pass, ${stats.pending} are skipped`;
    console.log(`${version} ${way}: ${counts}; the faster send is in ${fastSend}`);
    for (const { fullTitle, err } of failures) {
      const known = way === "http2" && OVER_HTTP2.find(({ tests }) => tests.includes(fullTitle));
      if (!known) failed++;
      console.log(`  ${known ? known.reason : "FAILS"}: ${fullTitle}`);
      if (!known) console.log(`    ${err.message}`);
    }
  }
}
process.exitCode = failed === 0 ? 0 : 1;

function fetchSuite(version, { commit, code }) {
  const folder = join(cache, version);
  if (existsSync(join(folder, "node_modules"))) return folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  execFileSync("git", ["clone", "--quiet", "https://github.com/expressjs/express", folder]);
  execFileSync("git", ["checkout", "--quiet", commit], { cwd: folder });
  if (code !== undefined) {
    const [theirs, ours] = [folder, join(root, "node_modules", code)].map((one) => join(one, "package.json"));
    const { version: number, dependencies } = JSON.parse(readFileSync(ours, "utf8"));
    const changed = { ...JSON.parse(readFileSync(theirs, "utf8")), version: number, dependencies };
    writeFileSync(theirs, JSON.stringify(changed));
    cpSync(join(root, "node_modules", code, "lib"), join(folder, "lib"), { recursive: true });
  }
  const quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent", "--no-package-lock"];
  execFileSync("npm", ["install", ...quiet], { cwd: folder, stdio: "inherit" });
  return folder;
}

function run(folder, way) {
  const hook = join(root, "scripts", "express-suite-server.cjs");
  const { status, stdout, stderr } = spawnSync(
    join(folder, "node_modules", ".bin", "mocha"),
    [
      ...["--require", "test/support/env", "--require", hook, "--check-leaks", "--exit"],
      ...["--reporter", "json", "test/", "test/acceptance/"],
    ],
    { cwd: folder, encoding: "utf8", maxBuffer: 2 ** 28, env: { ...process.env, WAY: way, PORTICO: root } },
  );
  const start = stdout.indexOf('{\n  "stats"');
  if (start < 0) throw new Error(`${folder}, ${way}: mocha ended with ${status}\n${stderr}`);
  const fastSend = /^fast send in (.*)$/m.exec(stderr)?.[1];
  return { ...JSON.parse(stdout.slice(start)), fastSend };
}
