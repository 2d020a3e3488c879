import http from "node:http";
import http2 from "node:http2";
import type { Express, Request } from "express";
import { expressServerOptions } from "../../src/serve/index.js";
import { expressVersions } from "../support/express.js";
import { raw } from "../support/server.js";
import { begin, closeAll } from "./support.js";

afterEach(closeAll);

/** All that Express has a getter for. */
const NAMES = [
  ...[
    "ip",
    "ips",
    "query",
    "protocol",
    "secure",
    "hostname",
    "host",
    "path",
    "subdomains",
    "fresh",
    "stale",
    "xhr",
  ],
];

type Any = Record<string, unknown>;

/** The results of assignments, in strict mode. */
function assign(req: unknown): Any {
  const target = req as Any;
  for (const name of NAMES) target[name] = `own ${name}`;
  return Object.fromEntries(
    NAMES.map((name) => [name, Object.hasOwn(target, name) ? target[name] : "not its own"]),
  );
}
const ASSIGNED = Object.fromEntries(NAMES.map((name) => [name, `own ${name}`]));

/** Not by `res.json`, which reads `req.fresh`. */
function say(res: http.ServerResponse, value: unknown): void {
  const body = JSON.stringify(value);
  res.setHeader("Content-Length", body.length);
  res.end(body);
}

const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";

function onUpgrade(server: http.Server): Promise<Any> {
  return new Promise((resolve) => {
    server.on("upgrade", (req, socket) => {
      resolve(assign(req));
      socket.destroy();
    });
  });
}

describe.each(expressVersions)("%s", (_version, express) => {
  function assigning(): Express {
    const app = express();
    app.set("trust proxy", true);
    app.get("/plain", (req, res) => {
      const { ip, hostname, path, protocol } = req;
      res.json({ ip, hostname, path, protocol, query: req.query.a });
    });
    const inner = express();
    inner.use((req, res) => say(res, assign(req)));
    app.use("/inner", inner);
    app.use((req, res) => say(res, assign(req)));
    return app;
  }

  it.each([
    "http",
    "https",
  ] as const)("over %s, what a handler assigns to a request is the request's own, as in an app that is mounted", async (transport) => {
    const scene = await begin(transport, {}, assigning());
    const client = await scene.wire();
    await client.get("/a?a=1").heard("own xhr");
    await client.get("/inner?a=1").heard("own xhr");
    await client.get("/plain?a=1", "X-Forwarded-For: 10.1.2.3\r\n").heard("10.1.2.3");
    const [one, two, plain] = client.answers().map(({ body }) => JSON.parse(body));
    expect([one, two]).toEqual([ASSIGNED, ASSIGNED]);
    expect(plain).toEqual({
      ip: "10.1.2.3",
      hostname: "localhost",
      path: "/plain",
      protocol: transport,
      query: "1",
    });
  });

  it("in an upgrade too, as with a plain server", async () => {
    const scene = await begin("http", {}, assigning());
    const assigned = onUpgrade(scene.served.server as http.Server);
    await raw(scene.port, upgrade);
    expect(await assigned).toEqual(ASSIGNED);
  });

  it("with a server made by expressServerOptions", async () => {
    const app = assigning();
    const server = http.createServer(expressServerOptions(app), app);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const assigned = onUpgrade(server);
    await raw((server.address() as { port: number }).port, upgrade);
    expect(await assigned).toEqual(ASSIGNED);
    server.close();
  });

  it("a property that the app defines on app.request, before or after, replaces Express's", async () => {
    const app = express();
    Object.defineProperty(app.request, "ip", { configurable: true, get: () => "before" });
    app.get("/", (req: Request, res) => {
      const read = [req.ip, req.hostname, (req as never as Any).tenant];
      say(res, [...read, assign(req).ip]);
    });
    const scene = await begin("http", {}, app);
    Object.defineProperty(app.request, "hostname", { configurable: true, get: () => "after" });
    Object.defineProperty(app.request, "tenant", { configurable: true, get: () => "new", set() {} });
    Object.defineProperty(app.request, "hostname", { configurable: true, get: () => "after", set() {} });
    const client = await scene.wire();
    await client.get("/").heard("before");
    expect(JSON.parse(client.answers()[0]!.body)).toEqual(["before", "after", "new", "own ip"]);
  });
});

it("over HTTP/2", async () => {
  const [[, express]] = expressVersions as [(typeof expressVersions)[0]];
  const app = express();
  app.use((req, res) => say(res, assign(req)));
  const scene = await begin("http2", {}, app);
  const session = http2.connect(scene.served.url, { rejectUnauthorized: false });
  const stream = session.request({ ":path": "/?a=1" }).setEncoding("utf8");
  let body = "";
  for await (const chunk of stream) body += chunk;
  session.destroy();
  expect(JSON.parse(body)).toEqual(ASSIGNED);
});
