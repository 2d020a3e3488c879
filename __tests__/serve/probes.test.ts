import { ask, closeHttp2, connectHttp2 } from "../support/http2.js";
import { begin, closeAll, TRANSPORTS, type Transport } from "./support.js";

afterEach(async () => {
  await closeHttp2();
  await closeAll();
});

const probes = { live: "/livez", ready: "/readyz" };

/** One request over the transport's version of HTTP. */
async function answerOf(
  transport: Transport,
  method: string,
  path: string,
  fields: Record<string, string> = {},
) {
  const scene = await begin(transport, { probes });
  if (transport === "http2") {
    const { status, headers, body } = await ask(connectHttp2(scene.served.url), path, {
      method,
      headers: fields,
    });
    return { status, headers, body, scene };
  }
  const client = await scene.wire();
  const extra = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  client.send(`${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${extra.join("")}\r\n`);
  await client.ended();
  return { ...client.answers()[0]!, scene };
}

describe.each(["http", "http2"] as const)("over %s", (transport) => {
  it.each([
    ["GET", "/livez"],
    ["GET", "/readyz"],
    ["GET", "/livez?verbose"],
    ["GET", "/readyz?"],
    ["HEAD", "/livez"],
    ["HEAD", "/readyz?x=/other"],
  ])("%s %s is answered before the app", async (method, path) => {
    const { status, headers, body, scene } = await answerOf(transport, method, path);
    expect(status).toBe(200);
    expect(body).toBe(method === "HEAD" ? "" : "ok\n");
    expect(headers).toMatchObject({
      "cache-control": "no-store",
      "content-length": "3",
      "content-type": "text/plain; charset=utf-8",
    });
    expect(scene.seen).toEqual([]);
    expect(scene.log).toEqual([]);
  });

  it.each([
    ["POST", "/livez"],
    ["PUT", "/readyz"],
    ["DELETE", "/livez"],
    ["OPTIONS", "/livez"],
    ["GET", "/livez/"],
    ["GET", "/LIVEZ"],
    ["GET", "/livez/more"],
    ["GET", "/x?/livez"],
    ["GET", "/%6Civez"],
    ["OPTIONS", "/"],
    ["OPTIONS", "/*"],
  ])("%s %s reaches the app", async (method, path) => {
    const { body, scene } = await answerOf(transport, method, path);
    expect(body).toBe(path);
    expect(scene.seen).toEqual([path]);
  });

  it("OPTIONS * asks about the server as a whole: 200, and empty", async () => {
    const { status, headers, body, scene } = await answerOf(transport, "OPTIONS", "*");
    expect([status, body, headers["content-length"], headers["content-type"]]).toEqual([
      200,
      "",
      "0",
      undefined,
    ]);
    expect(scene.seen).toEqual([]);
  });
});

it("OPTIONS * with an Origin is no preflight: it allows nothing", async () => {
  const { headers } = await answerOf("http", "OPTIONS", "*", {
    Origin: "https://evil.example",
    "Access-Control-Request-Method": "PUT",
  });
  expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
});

it("a target in absolute form has the same path", async () => {
  const scene = await begin("http", { probes });
  const client = await scene.wire();
  client.get("http://localhost/livez?x=1");
  await client.heard("ok\n");
  expect(scene.seen).toEqual([]);
});

it.each([
  ["only live", { live: "/healthz" }, "/healthz", "/readyz"],
  ["only ready", { ready: "/healthz" }, "/healthz", "/livez"],
])("%s: the other path reaches the app", async (_what, probes, own, other) => {
  const { wire, seen } = await begin("http", { probes });
  const client = await wire();
  await client.get(own).heard("ok\n");
  await client.get(other).heard(other);
  expect(seen).toEqual([other]);
});

it("without probes, their usual paths reach the app", async () => {
  const { wire } = await begin("http");
  await (await wire()).get("/livez").heard("/livez");
});

it("a probe with a body does not confuse the next request", async () => {
  const { wire } = await begin("http", { probes });
  const client = await wire();
  client.send("GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  await client.get("/next").heard("/next");
  expect(client.answers().map(({ body }) => body)).toEqual(["ok\n", "/next"]);
});

it("a probe with a body that does not end is answered, and its connection closed", async () => {
  const { wire } = await begin("http", { probes });
  const client = await wire();
  client.send("GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  await client.heard("ok\n");
  expect(client.answers()[0]!.headers.connection).toBe("close");
  expect(await client.ended()).toBe("fin");
});

it.each(
  TRANSPORTS,
)("over %s the readiness probe answers 503 while the server closes, also without a delay", async (transport) => {
  const { served, wire } = await begin(transport, { probes, drain: { delayMs: 0, idleGraceMs: 2_000 } });
  const [client, other] = await Promise.all([wire(), wire()]);
  await client.get("/readyz").heard("ok\n");
  await other.get("/livez").heard("ok\n");
  const closed = served.close();
  await client.get("/readyz").heard("draining\n");
  other.text = "";
  await other.get("/livez").heard("ok\n");
  expect(client.answers().map(({ status }) => status)).toEqual([200, 503]);
  expect((await closed).forced).toBe(false);
});

it("the readiness probe answers 503 also after the server's own close()", async () => {
  const { served, wire, held } = await begin("http", { probes: { ready: "/readyz" } });
  const client = await wire();
  client.get("/stream/1");
  await client.heard("begun");
  served.server.close();
  client.get("/readyz");
  (await held("/stream/1")).end("end");
  await client.heard("draining\n");
  client.socket.destroy();
  await served.closed;
});
