import express, { type Express } from "express";
import { type AllowedHostsOptions, allowedHosts } from "../../src/allowed-hosts/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { expressServerOptions, serve } from "../../src/serve/index.js";
import { certificate } from "../support/certificate.js";
import { expressVersions } from "../support/express.js";
import { ask as askHttp2, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";

afterEach(closeServers);

async function ask(app: Express, head: string) {
  const { port } = await listen(app, { requireHostHeader: false, ...expressServerOptions(app) });
  const { text } = await raw(port, `${head}Connection: close\r\n\r\n`);
  return { status: Number(text.slice(9, 12)), text };
}
const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n`;

describe.each(expressVersions)("%s", (_version, express) => {
  const appWith = (
    hosts: string | string[],
    options?: AllowedHostsOptions,
    set: (app: Express) => void = () => {},
  ) => {
    const app = express();
    set(app);
    app.use(allowedHosts(hosts, options));
    app.use((_req, res) => void res.send("reached"));
    return app;
  };
  const LIST = [
    "api.example.com",
    "*.shop.example",
    "Admin.Example:8443",
    "[::1]",
    "127.0.0.1:80",
    "xn--bcher-kva.example",
  ];

  it.each([
    ["api.example.com", 200],
    ["API.Example.COM", 200],
    ["api.example.com.", 200],
    ["api.example.com:8080", 200],
    ["api.example.com:", 200],
    ["a.shop.example", 200],
    ["a.b.shop.example", 200],
    ["a.shop.example.:1", 200],
    ["admin.example:8443", 200],
    ["[::1]", 200],
    ["[::1]:3000", 200],
    ["[0:0:0:0:0:0:0:1]", 200],
    ["127.0.0.1", 200],
    ["127.0.0.1:80", 200],
    ["xn--bcher-kva.example", 200],
    ["shop.example", 421],
    ["xshop.example", 421],
    ["admin.example", 421],
    ["admin.example:443", 421],
    ["127.0.0.1:8080", 421],
    ["attacker.example", 421],
    ["api.example.com.attacker.example", 421],
    ["localhost", 421],
    ["0x7f.1", 421],
    ["[::ffff:127.0.0.1]", 421],
    ["", 400],
    ["api.example.com, attacker.example", 400],
    ["api.example.com attacker.example", 400],
    ["user@api.example.com", 400],
    ["api.example.com/path", 400],
    ["api.example.com?x", 400],
    ["http://api.example.com", 400],
    ["api..example.com", 400],
    [".example.com", 400],
    ["..", 400],
    ["api.example.com:port", 400],
    ["api.example.com:123456", 400],
    ["api.example.com:99999", 400],
    ["[::1", 400],
    ["::1", 400],
    ["[::1%25lo]", 400],
    ["[gg::1]", 400],
    ["b\u00fccher.example", 400],
    ["api%2eexample.com", 400],
    [`${"a".repeat(254)}`, 400],
  ])("Host %j: %i", async (host, status) => {
    expect((await ask(appWith(LIST), get(host))).status).toBe(status);
  });

  it("a missing or repeated Host is 400, even the same twice", async () => {
    const seen: string[] = [];
    const app = appWith("a.example", { onReject: (reason) => seen.push(reason) });
    expect((await ask(app, "GET / HTTP/1.1\r\n")).status).toBe(400);
    expect((await ask(app, "GET / HTTP/1.0\r\n")).status).toBe(400);
    expect((await ask(app, `${get("a.example")}host: a.example\r\n`)).status).toBe(400);
    expect((await ask(app, get("b.example"))).status).toBe(421);
    expect((await ask(app, get("a b"))).status).toBe(400);
    expect(seen).toEqual(["missing", "missing", "repeated", "not-listed", "malformed"]);
  });

  it.each([
    ["http://a.example/", "a.example", 200],
    ["http://A.example:80/x", "a.example", 200],
    ["http://attacker.example/", "a.example", 400],
    ["http://a.example/", "attacker.example", 400],
    ["http://attacker.example/", "attacker.example", 421],
    ["http://user@a.example/", "a.example", 400],
    ["http://a.example:81/", "a.example", 400],
  ])("target %j with Host %j: %i", async (target, host, status) => {
    expect((await ask(appWith("a.example"), `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n`)).status).toBe(
      status,
    );
  });

  it("behind a trusted proxy the host of X-Forwarded-Host is judged, and without trust it is not", async () => {
    const trusting = appWith("shop.example", {}, (app) => void app.set("trust proxy", "loopback"));
    const from = (host: string) => `${get("10.0.0.1:3000")}X-Forwarded-Host: ${host}\r\n`;
    expect((await ask(trusting, from("shop.example"))).status).toBe(200);
    expect((await ask(trusting, from("shop.example, inner"))).status).toBe(200);
    expect((await ask(trusting, from("attacker.example"))).status).toBe(421);
    expect((await ask(trusting, from("a b"))).status).toBe(400);
    expect((await ask(trusting, get("shop.example"))).status).toBe(200);
    expect((await ask(appWith("shop.example"), from("shop.example"))).status).toBe(421);
  });

  it("under serve the authority of the target is the host, and probes come before the check", async () => {
    const served = await serve(appWith("a.example"), {
      ...{ port: 0, host: "127.0.0.1", signals: false, logger: memoryLogger() },
      probes: { live: "/livez" },
    });
    try {
      const port = Number(new URL(served.url).port);
      const status = async (target: string, host: string) =>
        (await raw(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).text.slice(
          9,
          12,
        );
      expect(await status("http://a.example/", "other.example")).toBe("200");
      expect(await status("http://other.example/", "a.example")).toBe("421");
      expect(await status("/livez", "10.0.0.1")).toBe("200");
    } finally {
      await served.close();
    }
  });

  it("the log's record says that allowedHosts refused, and why", async () => {
    const { entries, ...logger } = memoryLogger();
    const app = appWith("a.example", {}, (made) => void made.use(requestLog({ logger })));
    await ask(app, get("b.example"));
    await until(() => entries.length === 1);
    const refused = { by: "allowedHosts", reason: "not-listed" };
    expect(entries[0]!.fields).toMatchObject({ status: 421, refused });
  });

  it("the answer says what to do, and not in production", async () => {
    const { text } = await ask(appWith("a.example", { explain: true }), get("b.example"));
    expect(text).toMatch(/^HTTP\/1.1 421 Misdirected Request/);
    expect(text).toContain("b.example");
    expect((await ask(appWith("a.example", { explain: false }), get("b.example"))).text).not.toContain(
      "b.example",
    );
  });
});

it("over HTTP/2 the authority is the host", async () => {
  const app = express();
  app.use(allowedHosts("localhost"));
  app.use((_req, res) => void res.send("reached"));
  const options = { port: 0, host: "127.0.0.1", signals: false, logger: memoryLogger() } as const;
  const served = await serve(app, { ...options, http2: true, tls: await certificate() });
  try {
    const { port } = new URL(served.url);
    const session = connectHttp2(`https://127.0.0.1:${port}`);
    const status = async (authority: string) =>
      (await askHttp2(session, "/", { headers: { ":authority": authority } })).status;
    expect(await status(`localhost:${port}`)).toBe(200);
    expect(await status("attacker.example")).toBe(421);
    expect(await status("a..b")).toBe(400);
  } finally {
    await closeHttp2();
    await served.close();
  }
});

it.each<[unknown, RegExp]>([
  [undefined, /environment variable/],
  [[], /empty list/],
  ["*", /leave allowedHosts out/],
  ["https://a.example", /write "a\.example"/],
  ["a.example/x", /write "a\.example"/],
  ["a.example,b.example", /\["a\.example","b\.example"\]/],
  ["b\u00fccher.example", /write "xn--bcher-kva\.example"/],
  ["*.b\u00fccher.example", /write "\*\.xn--bcher-kva\.example"/],
  ["a.example:*", /write "a\.example"/],
  ["a.*.example", /only in front/],
  ["::1", /write "\[::1\]"/],
  ["*.127.0.0.1", /IP address/],
  ["a..b", /not a valid host/],
  [/x/, /for subdomains write/],
  [{ hosts: ["a.example"] }, /must be a host/],
])("the hosts %j are a problem", (hosts, message) => {
  expect(() => allowedHosts(hosts as never)).toThrow(message);
});
