import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { gunzipSync, gzipSync } from "node:zlib";
import express, { type Request } from "express";
import { cache } from "../../src/cache/index.js";
import { expressServerOptions } from "../../src/serve/index.js";

/**
 * 200 users with identities of many kinds ask for the same pages, 50,000 times in the soak. Each answer has the number
 * of the run that made it, and a personal one has a mark of its user. A naive model that shares no code with the cache
 * says for each answer whether the request that it was made for and the one that got it may share it.
 */

interface User {
  readonly mark: string;
  readonly headers: http.OutgoingHttpHeaders;
}

interface Behaviour {
  readonly cacheControl?: string;
  readonly vary?: string;
  /** Whether the page depends on the user. */
  readonly personal?: boolean;
  readonly setsCookie?: boolean;
  readonly allowsOrigin?: "own" | "*";
  readonly coded?: boolean;
  readonly etag?: boolean;
  readonly status?: number;
}

const BEHAVIOURS: readonly Behaviour[] = [
  { cacheControl: "max-age=3600" },
  { cacheControl: "public, max-age=3600" },
  { cacheControl: "max-age=3600", personal: true },
  { cacheControl: "MAX-AGE=3600", personal: true },
  { cacheControl: "private, max-age=3600", personal: true },
  { cacheControl: "PRIVATE", personal: true },
  { cacheControl: "no-store", personal: true },
  { cacheControl: "No-Store, s-maxage=3600", personal: true },
  { personal: true },
  { personal: true, etag: true },
  { cacheControl: "no-cache", etag: true, vary: "Accept-Language" },
  { cacheControl: "max-age=3600", personal: true, setsCookie: true },
  { cacheControl: "max-age=3600", setsCookie: true },
  { cacheControl: "public, max-age=3600", vary: "Authorization, X-Api-Key", personal: true },
  { cacheControl: "s-maxage=3600", vary: "Accept-Language" },
  { cacheControl: "max-age=3600", vary: "accept-language , Accept-Encoding", coded: true },
  { cacheControl: "max-age=3600", vary: "*", personal: true },
  { cacheControl: "max-age=3600", allowsOrigin: "own" },
  { cacheControl: "max-age=3600", allowsOrigin: "own", vary: "Origin, Accept-Language" },
  { cacheControl: "max-age=3600", allowsOrigin: "*" },
  { cacheControl: "max-age=3600", status: 404 },
  { cacheControl: "max-age=3600", personal: true, status: 403 },
  { cacheControl: "max-age=0, stale-while-revalidate=60", personal: true },
  { cacheControl: "private, max-age=3600, stale-if-error=600", personal: true, status: 500 },
];

const USERS = 200;
const REQUESTS = 50_000;
/** Pipelined on one connection. */
const BATCH = 100;
const HOSTS = ["a.example", "b.example"];

/** A generator with the same numbers in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const random = generator(42);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;

function makeUser(_: unknown, id: number): User {
  const mark = `user-${id}`;
  const identity = pick(["none", "cookie", "authorization", "key"]);
  return {
    mark: identity === "none" ? "nobody" : mark,
    headers: {
      host: pick(HOSTS),
      ...(identity === "cookie" && { cookie: `sid=${mark}` }),
      ...(identity === "authorization" && { authorization: `Bearer ${mark}` }),
      ...(identity === "key" && { "x-api-key": mark }),
      ...(random() < 0.8 && { "accept-language": pick(["de", "fr", "fr, de;q=0.5"]) }),
      ...(random() < 0.5 && { origin: pick(["https://one.example", "https://two.example"]) }),
      ...(random() < 0.5 && { "accept-encoding": pick(["gzip", "identity"]) }),
    },
  };
}

function markOf(req: Request): string {
  const { cookie, authorization } = req.headers;
  return cookie?.slice(4) ?? authorization?.slice(7) ?? req.get("x-api-key") ?? "nobody";
}

interface Made {
  readonly headers: http.IncomingHttpHeaders;
  readonly url: string;
}

function makeApp(made: Made[]) {
  const app = express();
  app.disable("x-powered-by");
  app.use((req, _res, next) => {
    const key = req.get("x-api-key");
    if (key !== undefined) Object.assign(req, { user: { id: key } });
    next();
  });
  app.use(cache());
  app.get("/:behaviour", (req, res) => {
    const { behaviour: index } = req.params;
    const behaviour = BEHAVIOURS[Number(index)]!;
    const run = made.push({ headers: { ...req.headers }, url: req.originalUrl }) - 1;
    if (behaviour.cacheControl !== undefined) res.set("Cache-Control", behaviour.cacheControl);
    if (behaviour.vary !== undefined) res.set("Vary", behaviour.vary);
    if (behaviour.setsCookie) res.cookie("sid", markOf(req));
    if (behaviour.etag) res.set("ETag", `"${index}-${req.get("accept-language") ?? ""}"`);
    if (behaviour.allowsOrigin === "*") res.set("Access-Control-Allow-Origin", "*");
    else if (behaviour.allowsOrigin === "own")
      res.set("Access-Control-Allow-Origin", req.get("origin") ?? "null");
    const page = JSON.stringify({ run, mark: behaviour.personal ? markOf(req) : undefined });
    res.status(behaviour.status ?? 200).type("json");
    if (behaviour.coded && req.get("accept-encoding") === "gzip") {
      res.set("Content-Encoding", "gzip").end(gzipSync(page));
    } else {
      res.send(page);
    }
  });
  return app;
}

/** What RFC 9111 and the promises of this package allow. */
function mayShare(
  { headers: first, url }: Made,
  behaviour: Behaviour,
  second: http.IncomingHttpHeaders,
  to: string,
): boolean {
  const said = (behaviour.cacheControl ?? "").toLowerCase();
  if (url !== to || first.host !== second.host) return false;
  if (said.includes("private") || said.includes("no-store") || behaviour.setsCookie || behaviour.vary === "*")
    return false;
  if (first.cookie !== undefined || second.cookie !== undefined) return false;
  if (!/max-?age/.test(said) && !behaviour.etag) return false;
  const known = (headers: http.IncomingHttpHeaders) =>
    headers.authorization !== undefined || headers["x-api-key"] !== undefined;
  if ((known(first) || known(second)) && !/public|s-maxage|must-revalidate/.test(said)) return false;
  if (behaviour.allowsOrigin === "own" && first.origin !== second.origin) return false;
  return (behaviour.vary ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .every((name) => name === "" || first[name] === second[name]);
}

interface Answer {
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

function askAll(port: number, batch: readonly { user: User; path: string }[]): Promise<Answer[]> {
  return new Promise((resolve, reject) => {
    const answers: Answer[] = [];
    let buffered = Buffer.alloc(0);
    const socket = net.connect(port, "127.0.0.1", () => {
      const requests = batch.map(({ user, path }) => {
        const lines = Object.entries(user.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
        return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
      });
      socket.write(requests.join(""));
    });
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk]);
      for (let end = buffered.indexOf("\r\n\r\n"); end !== -1; end = buffered.indexOf("\r\n\r\n")) {
        const [, ...lines] = buffered.subarray(0, end).toString("latin1").split("\r\n");
        const headers = Object.fromEntries(
          lines.map((line) => [
            line.slice(0, line.indexOf(":")).toLowerCase(),
            line.slice(line.indexOf(":") + 2),
          ]),
        );
        const from = end + 4;
        const to = from + Number(headers["content-length"]);
        if (buffered.length < to) return;
        answers.push({ headers, body: buffered.subarray(from, to) });
        buffered = buffered.subarray(to);
      }
      if (answers.length < batch.length) return;
      socket.destroy();
      resolve(answers);
    });
  });
}

test("no byte of one user's answer reaches another", async () => {
  const made: Made[] = [];
  const app = makeApp(made);
  const server = http.createServer(expressServerOptions(app), app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const users = Array.from({ length: USERS }, makeUser);
  const faults: string[] = [];
  let shared = 0;

  const check = (user: User, path: string, headers: http.IncomingHttpHeaders, body: Buffer) => {
    const coded = headers["content-encoding"] === "gzip";
    const fault = (what: string) => void faults.push(`${path} ${user.mark}: ${what}`);
    if (coded && user.headers["accept-encoding"] !== "gzip") return fault("coded, and not asked for");
    const { run, mark } = JSON.parse((coded ? gunzipSync(body) : body).toString()) as {
      run: number;
      mark?: string;
    };
    const behaviour = BEHAVIOURS[Number(path.slice(1))]!;
    const own = user.headers as http.IncomingHttpHeaders;
    const { headers: maker } = made[run]!;
    const isOwn =
      Object.entries(own).every(([name, value]) => maker[name] === value) && maker["x-n"] === own["x-n"];
    const allowed = headers["access-control-allow-origin"];
    if (behaviour.personal && mark !== user.mark) fault(`got the page of ${mark}`);
    if (headers["set-cookie"] !== undefined && !String(headers["set-cookie"]).includes(user.mark))
      fault("got a cookie of another's");
    if (behaviour.allowsOrigin === "own" && allowed !== (own.origin ?? "null"))
      fault(`got leave for ${allowed}`);
    if (/\bhit\b|collapsed/.test(String(headers["cache-status"]))) {
      shared++;
      if (!mayShare(made[run]!, behaviour, own, path)) fault("got what was not to be shared");
    } else if (!isOwn && !/fwd-status=304/.test(String(headers["cache-status"]))) {
      fault("got another's answer as its own");
    }
  };

  const batches = Array.from({ length: REQUESTS / BATCH }, () =>
    Array.from({ length: BATCH }, () => ({
      user: pick(users),
      path: `/${Math.floor(random() * BEHAVIOURS.length)}`,
    })),
  );
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) {
        const answers = await askAll(port, batch);
        for (const [i, { user, path }] of batch.entries())
          check(user, path, answers[i]!.headers, answers[i]!.body);
      }
    }),
  );
  server.close();

  expect(faults.slice(0, 10)).toEqual([]);
  // The cache did work: most answers of the public pages came from the store.
  expect(shared).toBeGreaterThan(REQUESTS / 10);
  expect(made.length).toBeGreaterThan(REQUESTS / 4);
}, 300_000);
