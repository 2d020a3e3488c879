import corsPackage from "cors";
import express, { type RequestHandler } from "express";
import fc from "fast-check";
import request from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { compileMatcher } from "../../src/cors/matcher.js";
import { type OriginPattern, parseOriginPattern } from "../../src/cors/origin.js";
import { closeServers, listen, type TestServer } from "../support/server.js";

afterEach(closeServers);

const label = fc.constantFrom("a", "b", "foo", "barfoo", "x-y", "com", "example");
const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
const scheme = fc.constantFrom("https", "http");
const port = fc.constantFrom("", ":8080", ":8443");
const origin = fc.tuple(scheme, host, port).map(([s, h, p]) => `${s}://${h}${p}`);
const pattern = fc
  .tuple(scheme, fc.boolean(), host, fc.constantFrom("", ":8080", ":*"))
  .map(([s, sub, h, p]) => `${s}://${sub ? "*." : ""}${h}${p}`);
const noise = fc.constantFrom("", ".", "..", "x", ",https://a.com", "/", "@", ":", "A", "\u00e9", " ");

/** The patterns' meaning, as slowly as it can be said. */
function naive(pattern: string, origin: string): boolean {
  const literal = (text: string) => text.replace(/[.[\]]/g, "\\$&");
  const source = literal(pattern)
    .replace("://*\\.", "://(?:[a-z0-9_-]+\\.)+")
    .replace(/:\*$/, "(?::[1-9][0-9]*)?");
  return new RegExp(`^${source}$`).test(origin);
}

it("the compiled matcher agrees with a naive one, for patterns and their lookalikes", () => {
  fc.assert(
    fc.property(
      fc.array(pattern, { minLength: 1, maxLength: 6 }),
      fc.oneof(
        origin,
        fc.tuple(origin, noise).map(([o, n]) => o + n),
        fc.tuple(noise, origin).map(([n, o]) => o.replace("://", `://${n}`)),
      ),
      (patterns, sent) => {
        const parsed = patterns.map((text) => parseOriginPattern(text));
        expect(parsed.filter((one) => typeof one === "string")).toEqual([]);
        const matches = compileMatcher(parsed as OriginPattern[], []);
        expect([sent, matches(sent)]).toEqual([sent, patterns.some((one) => naive(one, sent))]);
      },
    ),
    { numRuns: 3_000 },
  );
});

it.each([
  ["https://*.foo.com", "https://barfoo.com"],
  ["https://*.foo.com", "https://foo.com"],
  ["https://*.foo.com", "https://a.foo.com.evil.com"],
  ["https://*.foo.com", "https://a.foo.com:444"],
  ["https://*.foo.com", "http://a.foo.com"],
  ["http://localhost:*", "http://localhost.evil.com"],
  ["http://localhost:*", "http://localhost:"],
  ["http://localhost:*", "http://localhost:080"],
])("%s does not let %s in", (configured, sent) => {
  expect(compileMatcher([parseOriginPattern(configured) as OriginPattern], [])(sent)).toBe(false);
});

it("a matcher's time does not grow with the host's length beyond bounds", () => {
  const matches = compileMatcher([parseOriginPattern("https://*.foo.com") as OriginPattern], []);
  const started = performance.now();
  for (let i = 0; i < 1_000; i++) matches(`https://${"a.".repeat(8_000)}foo.com`);
  expect(performance.now() - started).toBeLessThan(1_000);
});

interface Asked {
  readonly origin: string;
  readonly method: string;
  readonly headers: readonly string[];
  readonly withCredentials: boolean;
}

const asked: fc.Arbitrary<Asked> = fc.record({
  origin: fc.constantFrom("https://a.com", "https://x.b.com", "https://evil.com", "null"),
  method: fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "PURGE", "put"),
  headers: fc
    .uniqueArray(fc.constantFrom("x-a", "x-b", "authorization", "content-type"), { maxLength: 3 })
    .map((list) => list.sort()),
  withCredentials: fc.boolean(),
});

const configured = fc.record({
  origin: fc.constantFrom<CorsOptions["origin"]>(
    "*",
    "https://a.com",
    ["https://a.com", "https://*.b.com"],
    /^https:\/\/a\.com$/,
    false,
  ),
  methods: fc.constantFrom<string[] | string | undefined>(undefined, ["PUT"], "*", ["PURGE", "DELETE"]),
  allowedHeaders: fc.constantFrom<string[] | string | undefined>(undefined, ["X-A"], "*", [
    "authorization",
    "x-b",
  ]),
  credentials: fc.boolean(),
  allowNull: fc.boolean(),
});

/** What the configuration says, in words: may the page do it, and see the answer? */
function intended(
  { origin, methods, allowedHeaders, credentials, allowNull }: CorsOptions,
  ask: Asked,
): boolean {
  const everyone = origin === "*";
  if (ask.withCredentials && !credentials) return false;
  const mayRead =
    everyone ||
    (ask.origin === "null"
      ? allowNull === true && origin !== undefined && origin !== false
      : (origin !== false && ask.origin === "https://a.com") ||
        (Array.isArray(origin) && ask.origin === "https://x.b.com"));
  const listed = methods ?? ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"];
  const mayDo = ["GET", "HEAD", "POST"].includes(ask.method) || listed === "*" || listed.includes(ask.method);
  const names = allowedHeaders ?? "*";
  const maySend =
    names === "*" ||
    ask.headers.every((name) => (names as string[]).some((one) => one.toLowerCase() === name));
  return mayRead && mayDo && maySend;
}

/** The Fetch standard's checks, step by step (sections 4.8 to 4.10), as a browser would make them. */
async function browserShares(server: TestServer, ask: Asked): Promise<boolean> {
  const corsCheck = (headers: Record<string, string | undefined>) => {
    const allowed = headers["access-control-allow-origin"];
    if (allowed === undefined) return false;
    if (!ask.withCredentials && allowed === "*") return true;
    if (allowed !== ask.origin) return false;
    return !ask.withCredentials || headers["access-control-allow-credentials"] === "true";
  };
  const list = (value: string | undefined) =>
    (value ?? "")
      .split(",")
      .map((one) => one.trim())
      .filter(Boolean);
  const unsafe = ask.headers.filter((name) => name !== "content-type" || true);
  if (!["GET", "HEAD", "POST"].includes(ask.method) || unsafe.length > 0) {
    const call = request(server.url)
      .options("/")
      .set({ Origin: ask.origin, "Access-Control-Request-Method": ask.method });
    if (unsafe.length > 0) call.set("Access-Control-Request-Headers", unsafe.join(","));
    const { headers, status } = await call;
    if (!corsCheck(headers) || status < 200 || status > 299) return false;
    const methods = list(headers["access-control-allow-methods"]);
    const star = (names: string[]) => !ask.withCredentials && names.includes("*");
    if (!methods.includes(ask.method) && !["GET", "HEAD", "POST"].includes(ask.method) && !star(methods))
      return false;
    const names = list(headers["access-control-allow-headers"]?.toLowerCase());
    if (unsafe.includes("authorization") && !names.includes("authorization")) return false;
    if (!unsafe.every((name) => names.includes(name) || star(names))) return false;
  }
  const { headers } = await request(server.url).get("/").set("Origin", ask.origin);
  return corsCheck(headers);
}

function appWith(handler: RequestHandler) {
  const app = express();
  app.use(handler);
  app.use((_req, res) => void res.send("x"));
  return app;
}

it("a browser shares the answer if and only if the configuration allows it", async () => {
  await fc.assert(
    fc.asyncProperty(configured, fc.array(asked, { minLength: 3, maxLength: 5 }), async (options, asks) => {
      fc.pre(!(options.credentials && (options.origin === "*" || options.allowNull)));
      fc.pre(!(options.origin === false && options.allowNull));
      const server = await listen(appWith(cors(options as CorsOptions)));
      try {
        for (const ask of asks) {
          expect([ask, await browserShares(server, ask)]).toEqual([
            ask,
            intended(options as CorsOptions, ask),
          ]);
        }
      } finally {
        await server.close();
      }
    }),
    { numRuns: 150 },
  );
}, 60_000);

it("says what the cors package says, for every request that both allow", async () => {
  const shared = fc.record(
    {
      origin: fc.constantFrom<string | string[]>("https://a.com", ["https://a.com", "https://x.b.com"]),
      methods: fc.constantFrom<string[]>(["PUT"], ["GET", "PUT", "DELETE"]),
      allowedHeaders: fc.constantFrom<string[]>(["X-A", "authorization"]),
      exposedHeaders: fc.constantFrom<string[]>(["ETag"], ["X-A", "X-B"]),
      credentials: fc.boolean(),
      maxAge: fc.constantFrom(0, 600),
    },
    { requiredKeys: ["origin"] },
  );
  const normal = (headers: Record<string, string>) =>
    Object.entries(headers)
      .filter(([name]) => name.startsWith("access-control-"))
      .map(
        ([name, value]) =>
          `${name}: ${/allow-(methods|headers)|expose/.test(name) ? value.split(/,\s*/).join(", ") : value}`,
      )
      .sort();
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(shared, fc.array(asked, { minLength: 3, maxLength: 5 }), async (options, asks) => {
      const [ours, theirs] = await Promise.all([
        listen(appWith(cors(options))),
        listen(appWith(corsPackage(options))),
      ]);
      try {
        for (const { origin, method, headers } of asks) {
          for (const preflight of [true, false]) {
            const send = ({ url }: TestServer) => {
              const call = preflight ? request(url).options("/") : request(url).get("/");
              call.set("Origin", origin);
              if (preflight) call.set("Access-Control-Request-Method", method);
              return preflight && headers.length > 0
                ? call.set("Access-Control-Request-Headers", headers.join(","))
                : call;
            };
            const [our, their] = await Promise.all([send(ours), send(theirs)]);
            if (our.headers["access-control-allow-origin"] === undefined) continue;
            if (their.headers["access-control-allow-origin"] !== origin) continue;
            compared++;
            expect(normal(our.headers)).toEqual(normal(their.headers));
          }
        }
      } finally {
        await Promise.all([ours.close(), theirs.close()]);
      }
    }),
    { numRuns: 60 },
  );
  expect(compared).toBeGreaterThan(50);
}, 60_000);
