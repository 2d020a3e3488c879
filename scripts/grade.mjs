// Grades the presets of securityHeaders with the MDN HTTP Observatory (https://developer.mozilla.org/observatory), which runs
// on this machine. Exits with 1 if a preset scores less than it should.
//
//   npm run grade
//
// The Observatory is kept in node_modules/.cache: 190 packages, 130 MB.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const VERSION = "1.4.8";
const SCAN_MS = 45_000;
const TLS_HANDSHAKE = 0x16;

/** The lowest score that each preset may have (100 is A+), and a page that uses it. */
const PRESETS = {
  common: { least: 100, answer: (_req, res) => res.send("<!doctype html><title>Common</title>") },
  page: {
    least: 130,
    answer(_req, res) {
      const { cspNonce } = res.locals;
      res.send(
        `<!doctype html><title>Page</title><script nonce="${cspNonce}">document.title += "!"</script>`,
      );
    },
  },
  api: { least: 130, answer: (_req, res) => res.json({ preset: "api" }) },
};

const script = fileURLToPath(import.meta.url);
const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "node_modules", ".cache", "grade");
const observatory = join(folder, "node_modules", "@mdn", "mdn-http-observatory");

const hosts = process.argv.slice(2);
if (hosts.length > 0) await scan(hosts);
else await grade();

async function grade() {
  process.chdir(root);
  fetchObservatory();
  execFileSync(process.execPath, ["scripts/build.mjs"], { stdio: "inherit" });
  const { generate } = await import("selfsigned");
  const altNames = [{ type: 7, ip: "127.0.0.1" }];
  const { private: key, cert } = await generate([{ name: "commonName", value: "127.0.0.1" }], {
    keyType: "ec",
    extensions: [{ name: "subjectAltName", altNames }],
  });
  const temporary = mkdtempSync(join(tmpdir(), "portico-grade-"));
  const sites = [];
  try {
    for (const name of Object.keys(PRESETS)) sites.push(await open(name, { key, cert }));
    const authority = join(temporary, "certificate.pem");
    writeFileSync(authority, cert);
    report(await scanInChild(sites, authority));
  } finally {
    for (const site of sites) site.close();
    rmSync(temporary, { recursive: true });
  }
}

function fetchObservatory() {
  const preloaded = join(observatory, "conf", "hsts-preload.json");
  if (existsSync(preloaded)) return;
  console.log(`fetching the Observatory ${VERSION} …`);
  mkdirSync(folder, { recursive: true });
  const options = [
    "--prefix",
    folder,
    "--no-save",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--silent",
  ];
  execFileSync("npm", ["install", ...options, `@mdn/mdn-http-observatory@${VERSION}`], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  // Its install script would download the browsers' list of HTTPS-only sites, which is not needed for 127.0.0.1.
  writeFileSync(preloaded, "{}\n");
}

/**
 * A site on one port: HTTPS with the preset, and HTTP that redirects there. The Observatory requests both schemes of the host
 * that it is given, and cannot be given two ports.
 */
async function open(name, certificate) {
  const { default: express } = await import("express");
  const { securityHeaders } = await import("express-portico");
  const app = express();
  app.use(securityHeaders({ preset: name }));
  app.get("/", PRESETS[name].answer);
  const secure = https.createServer(certificate, app);
  const plain = http.createServer((req, res) => {
    res.writeHead(308, { Location: `https://${req.headers.host}${req.url}` }).end();
  });
  const sockets = new Set();
  const listener = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", (first) => {
      socket.pause();
      socket.unshift(first);
      (first[0] === TLS_HANDSHAKE ? secure : plain).emit("connection", socket);
      process.nextTick(() => socket.resume());
    });
  });
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${listener.address().port}`,
    close() {
      listener.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** In a child process, because Node reads NODE_EXTRA_CA_CERTS only when it starts. */
async function scanInChild(sites, authority) {
  // The variables of a proxy would send the requests to the proxy.
  const own = Object.entries(process.env).filter(([name]) => !/_proxy$/i.test(name));
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...sites.map(({ host }) => host)], {
    env: { ...Object.fromEntries(own), NODE_EXTRA_CA_CERTS: authority },
    timeout: SCAN_MS,
    maxBuffer: 16 * 1024 * 1024,
  });
  return JSON.parse(stdout);
}

async function scan(hosts) {
  const { scan } = await import(pathToFileURL(join(observatory, "src", "index.js")).href);
  const results = [];
  for (const host of hosts) results.push(await scan(host));
  process.stdout.write(JSON.stringify(results));
}

function report(results) {
  const rows = results.map(({ scan, tests }, i) => {
    const [preset, { least }] = Object.entries(PRESETS)[i];
    const points = Object.entries(tests)
      .filter(([, { scoreModifier }]) => scoreModifier !== 0)
      .map(([test, { scoreModifier }]) => `${test} ${scoreModifier > 0 ? "+" : ""}${scoreModifier}`);
    return { preset, score: scan.score, least, grade: scan.grade, points: points.join(", ") };
  });
  console.log(`MDN HTTP Observatory ${VERSION}: each begins with 100 points`);
  console.table(Object.fromEntries(rows.map(({ preset, ...row }) => [preset, row])));
  const below = rows.filter(({ score, least }) => score < least);
  for (const { preset, score, least } of below) console.error(`${preset}: ${score}, but must have ${least}`);
  if (below.length > 0) process.exitCode = 1;
}
