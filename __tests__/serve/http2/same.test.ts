import type http2 from "node:http2";
import type { Express } from "express";
import { bridgeHttp2, http2ServerOptions } from "../../../src/serve/http2/bridge.js";
import { expressVersions } from "../../support/express.js";
import {
  type Answer,
  type Ask,
  ask,
  ask1,
  closeHttp2,
  connectHttp2,
  listenHttp2,
} from "../../support/http2.js";
import { closeServers, listen } from "../../support/server.js";
import { oneIn } from "../../support/soak.js";
import { wholeApp } from "./app.js";

const json = (value: unknown): Ask => ({
  method: "POST",
  body: JSON.stringify(value),
  headers: { "content-type": "application/json" },
});
const withLength = (ask: Ask): Ask => ({
  ...ask,
  headers: { ...ask.headers, "content-length": String(Buffer.byteLength(ask.body as string)) },
});
const accept = (type: string): Ask => ({ headers: { accept: type } });

const questions: [string, Ask?][] = [
  ["/send"],
  ["/send", { method: "HEAD" }],
  ["/send", { method: "OPTIONS" }],
  ["/send", { method: "POST" }],
  ["/send", { headers: { "if-none-match": "*" } }],
  ["/json"],
  ["/json", { method: "HEAD" }],
  ["/jsonp?callback=f"],
  ["/status"],
  ["/empty"],
  ["/bare"],
  ["/bare", { method: "HEAD" }],
  ["/bare-empty"],
  ["/written"],
  ["/written", { method: "HEAD" }],
  ["/not-modified-with-body"],
  ["/piped"],
  ["/piped", { method: "HEAD" }],
  ["/pipeline"],
  ["/pipeline", { method: "HEAD" }],
  ["/redirect", accept("text/html")],
  ["/redirect-301"],
  ["/cookies"],
  ["/headers", { headers: { "x-in": "in", referer: "r" } }],
  ["/who?a=1&b=2&b=3"],
  [
    "/who",
    {
      headers: {
        "x-forwarded-for": "1.2.3.4, 5.6.7.8",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "a.b.example.com:81",
      },
    },
  ],
  ["/who", { headers: { "x-requested-with": "XMLHttpRequest" } }],
  ["/in", { headers: { cookie: "a=1; b=2", "x-a": "1" } }],
  ["/format", accept("text/html")],
  ["/format", accept("application/json")],
  ["/format", accept("image/png")],
  [
    "/accepts",
    { headers: { accept: "application/json", "accept-encoding": "gzip, br", "accept-language": "en" } },
  ],
  ["/sent"],
  ["/sent", { method: "HEAD" }],
  ["/sent", { headers: { range: "bytes=10-19" } }],
  ["/sent", { headers: { range: "bytes=0-1,5-6" } }],
  ["/sent", { headers: { range: "bytes=900-" } }],
  ["/sent", { headers: { "if-modified-since": new Date(Date.now() + 1000).toUTCString() } }],
  ["/sent", { headers: { "if-unmodified-since": new Date(0).toUTCString() } }],
  ["/sent-missing"],
  ["/download"],
  ["/render"],
  ["/events"],
  ["/hints"],
  ["/extended"],
  ["/items/7"],
  ["/locals"],
  ["/fresh"],
  ["/fresh", { headers: { "if-none-match": '"v1"' } }],
  ["/route", { method: "PUT" }],
  ["/route", { method: "OPTIONS" }],
  ["/static/page.html"],
  ["/static/page.html", { headers: { range: "bytes=1-3" } }],
  ["/static"],
  ["/static/none"],
  ["/static/%2e%2e/x"],
  ["/static-here/none"],
  ["/body", json({ a: [1] })],
  ["/body", withLength(json({ a: "ü" }))],
  ["/body", { ...json({}), body: ['{"a":', "1}"] }],
  ["/body", { ...json({}), body: "{bad" }],
  ["/body", { ...json({}), body: "" }],
  ["/body", json({ a: "x".repeat(200_000) })],
  [
    "/body",
    { method: "POST", body: "a[b]=1&c=2", headers: { "content-type": "application/x-www-form-urlencoded" } },
  ],
  ["/body", { method: "POST", body: "text", headers: { "content-type": "text/plain" } }],
  ["/body", { method: "POST", body: "<x>", headers: { "content-type": "text/xml" } }],
  ["/body/any"],
  ["/body/any", { method: "POST", headers: { "content-type": "application/json", "content-length": "0" } }],
  ["/body/any", { method: "DELETE" }],
  ["/raw", { method: "POST", body: Buffer.alloc(300_000, 7), headers: { "content-type": "a/b" } }],
  ["/unread", { method: "POST", body: Buffer.alloc(200_000) }],
  ["/nowhere", { method: "POST", body: Buffer.alloc(200_000) }],
  ["/streamed", { method: "POST", body: [Buffer.alloc(50_000), Buffer.alloc(70_000)] }],
  ["/session"],
  ["/middle/json", { headers: { "accept-encoding": "gzip", origin: "http://a" } }],
  ["/middle/json"],
  ["/middle/json", { method: "HEAD", headers: { "accept-encoding": "gzip" } }],
  [
    "/middle/json",
    { method: "OPTIONS", headers: { origin: "http://a", "access-control-request-method": "PUT" } },
  ],
  ["/middle/stream", { headers: { "accept-encoding": "br" } }],
  ["/throws"],
  ["/rejects"],
  ["/rejects", { method: "HEAD" }],
  ["/status-error"],
  ["/form/bad-value"],
  ["/form/bad-name"],
  ["/form/zero-byte"],
  ["/form/wide-value"],
  ["/form/bad-chunk"],
  ["/form/null-chunk"],
  ["/form/twice"],
  ["/inner/here"],
  ["/inner/here", { method: "HEAD" }],
  ["/inner/here", { method: "OPTIONS" }],
  ["/inner/more/here"],
  ["/inner/more/shout"],
  ["/inner/more/throws"],
  ["/inner/more/body", json([1])],
  ["/inner/more/after"],
  ["/inner/slow"],
  ["/inner/nothing"],
  ["/inner/more/nothing"],
  ["/inner/nothing", { method: "OPTIONS" }],
  ["/router/a/deep"],
  ["/router/a/deeper"],
  ["/router/a/app/here"],
  ["/router/a/app/none"],
  ["/hidden/here"],
  ["/hidden/in"],
  ["/hidden/none"],
  ["/only"],
  ["/only", { method: "OPTIONS" }],
  ["/last"],
  ["/last", { method: "OPTIONS" }],
  ["/own-error"],
  ["/none"],
  ["/none", { method: "OPTIONS" }],
  ["/none", { method: "HEAD" }],
  ["/%"],
  ["//"],
];

const nameOf = (path: string, ask?: Ask) => `${ask?.method ?? "GET"} ${path}`;
/** Those that are asked without TLS too, and over HTTP/1.1 beside HTTP/2. */
const alsoBeside = new Set(oneIn(4, questions).map(([path, ask]) => nameOf(path, ask)));

/** Headers that may differ: hop-by-hop ones and the date. */
function comparable({ headers, isWhole, status, body, interim }: Answer) {
  const { date, connection, "keep-alive": _, "transfer-encoding": __, ...rest } = headers;
  if (status === 204) delete rest["content-length"]; // forbidden there (RFC 9110 section 8.6), and dropped by Node
  expect(typeof date).toBe("string");
  return { status, headers: rest, body, interim, isWhole };
}

/** On Express 4 a rejected handler is an unhandled rejection. */
function isUnsettled(version: string, path: string): boolean {
  return version === "Express 4" && path === "/rejects";
}

describe.each(expressVersions)("%s: one app", (version, express) => {
  let urls: { plain: string; tls: string };
  let secure: http2.ClientHttp2Session;
  let cleartext: http2.ClientHttp2Session;
  const logs: Record<"plain" | "bridged", string[]> = { plain: [], bridged: [] };
  let app: Express;

  beforeAll(async () => {
    app = wholeApp(express, logs.bridged);
    jest.spyOn(console, "error").mockImplementation(() => {}); // Express prints errors
    const reference = wholeApp(express, logs.plain);
    bridgeHttp2(app);
    bridgeHttp2(app);
    const [plain, tls, clear] = await Promise.all([
      listen(reference),
      listenHttp2(app),
      listenHttp2(app, { tls: false, ...http2ServerOptions(app) }),
    ]);
    urls = { plain: plain.url, tls: tls.url };
    secure = connectHttp2(tls.url);
    cleartext = connectHttp2(clear.url);
  });
  afterAll(async () => {
    jest.restoreAllMocks();
    await Promise.all([closeHttp2(), closeServers()]);
  });

  const host = "some.where.example:8443";
  const with1 = ({ headers, ...rest }: Ask = {}): Ask => ({ ...rest, headers: { ...headers, host } });
  const with2 = ({ headers, ...rest }: Ask = {}): Ask => ({
    ...rest,
    headers: { ...headers, ":authority": host },
  });

  it.each(
    questions
      .filter(([path]) => !isUnsettled(version, path))
      .map(([path, ask]) => [nameOf(path, ask), path, ask] as const),
  )(
    "%s is answered alike over HTTP/1.1, HTTP/2 and HTTP/1.1 beside it",
    async (name, path, question) => {
      const expected = comparable(await ask1(urls.plain, path, with1(question)));
      expect(comparable(await ask(secure, path, with2(question)))).toEqual(expected);
      if (!alsoBeside.has(name)) return;
      expect(comparable(await ask(cleartext, path, with2(question)))).toEqual(expected);
      expect(comparable(await ask1(urls.tls, path, with1(question)))).toEqual(expected);
    },
    5_000, // a response that does not arrive is an error
  );
});
