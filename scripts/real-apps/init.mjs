// Changes the published packages of apps.mjs with `express-portico init --write`, and asks each the same requests before and after.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { APPS, installed, root } from "./apps.mjs";

const cli = join(root, "dist", "cjs", "cli.js");
const asking = fileURLToPath(new URL("answers.mjs", import.meta.url));

/** One row of the results for each app. The copies are made in the folder. */
export async function* initPublished(folder, wanted) {
  const redis = await startRedis();
  try {
    yield* initAll(folder, wanted, redis.port);
  } finally {
    redis.stop();
  }
}

/** Redis, which keeps nothing, on loopback; on a port of its own if none is given. */
export async function startRedis(wanted) {
  const port = wanted ?? (await freePort());
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", ""];
  const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "inherit"] });
  child.on("error", () => {}); // not installed: the apps that need it do not start, before and after
  // It ends at once if the port has a server already, which then is used.
  for await (const line of child.stdout) if (/ready to accept/i.test(String(line))) break;
  const stop = () => child.kill();
  process.once("exit", stop);
  return { port, stop };
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

function* initAll(folder, wanted, redis) {
  for (const [name, app] of Object.entries(APPS)) {
    const short = app.package.replace(/^@|@[^@]+$/g, "");
    if (wanted.length > 0 && !wanted.includes(name) && !wanted.includes(short)) continue;
    yield initApp(name, app, join(folder, short.replace("/", "_")), redis);
  }
}

function initApp(name, app, copy, redis) {
  const original = installed(app);
  const before = answersOf(name, original, redis); // an app of express-generator is made by its loader
  rmSync(copy, { recursive: true, force: true });
  cpSync(original, copy, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  const made = app.package.startsWith("express-generator")
    ? readdirSync(copy).filter((one) => name.includes(one.replace(/^--(?:view=)?|-view$/g, "")))
    : [join("node_modules", app.package.replace(/@[^@]+$/, ""))];
  const results = made.flatMap((at) => app.init.files.map((file) => changed(join(copy, at), file)));
  for (const at of ["", ...made]) {
    const modules = join(copy, at, "node_modules");
    if (existsSync(modules)) symlinkSync(root, join(modules, "express-portico"));
  }
  const after = answersOf(name, copy, redis);
  const others = differences(before, after);
  return {
    name,
    done: [...new Set(results.flatMap(({ done }) => done))].join(", ") || "nothing",
    left: [...results.flatMap(({ left }) => left), ...others.map((one) => `other answer: ${one}`)],
    before: shown(before),
    after: shown(after),
    isWorse: "failed" in before || "failed" in after || others.length > 0,
  };
}

function changed(folder, file) {
  const args = [cli, "init", join(folder, file), "--write", "--force", "--json", "--no-check"];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
  if (status !== 0) return { done: [], left: [`${file}: ${stderr.trim()}`] };
  const report = JSON.parse(stdout);
  const { done, left } = report;
  return {
    done: done.map(({ text }) => text),
    left: left.map(({ line, text }) => `${report.file}:${line} ${text}`),
  };
}

function answersOf(name, folder, redis) {
  try {
    const text = execFileSync(process.execPath, [asking, name, folder], {
      encoding: "utf8",
      env: { ...process.env, REDIS_PORT: String(redis) },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 120_000,
      maxBuffer: 2 ** 28,
    });
    return JSON.parse(text.trim().split("\n").at(-1));
  } catch (error) {
    return {
      failed: String(error.stderr ?? error.message)
        .trim()
        .split("\n")
        .slice(-12)
        .join("\n"),
    };
  }
}

/** Headers that this package adds, and those that differ at each start. */
const OWN = [
  "x-request-id",
  "date",
  "etag",
  "connection",
  "keep-alive",
  "content-length",
  "vary",
  "set-cookie",
  "last-modified",
];

/** What is answered otherwise than before. Express's own page for 404 and errors becomes a problem of this package. */
function differences(before, after) {
  if ("failed" in before || "failed" in after) return [after.failed ?? before.failed];
  return Object.entries(before).flatMap(([asked, one]) => {
    const then = after[asked];
    const isPage = /^text\/html/.test(one.headers["content-type"]) && /<pre>[\s\S]*<\/pre>/.test(one.body);
    if (isPage && one.status >= 400 && /problem\+json/.test(then.headers["content-type"]))
      return one.status === then.status ? [] : [`${asked}: ${one.status}, then ${then.status}`];
    const headers = Object.keys({ ...one.headers, ...then.headers }).filter(
      (header) => !OWN.includes(header) && one.headers[header] !== then.headers[header],
    );
    return [
      ...(one.status === then.status ? [] : [`${asked}: ${one.status}, then ${then.status}`]),
      ...(stable(one.body) === stable(then.body) ? [] : [`${asked}: another body`]),
      ...headers.map((header) => `${asked}: ${header} ${one.headers[header]}, then ${then.headers[header]}`),
    ];
  });
}

/** A body without what differs at each start: frames of a stack, paths, ids, tokens and measurements. */
function stable(body) {
  return body
    .replace(/<br> &nbsp; &nbsp;at [^<]*/g, "")
    .replace(/"csrfToken":"[^"]*"|"newFeaturesInLatestVersion":.[^\]]*./g, "")
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "ID")
    .replace(/"?(?:\/[\w.@+-]+)+"?/g, "PATH")
    .replace(/\d+(?:\.\d+)?(?:e[+-]?\d+)?(?: [KM]iB)?/g, "N");
}

function shown(answers) {
  return "failed" in answers
    ? `does not start: ${answers.failed}`
    : `starts, ${Object.keys(answers).length} answers`;
}
