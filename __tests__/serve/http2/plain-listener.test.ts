import type { ClientHttp2Session } from "node:http2";
import express, { type Express } from "express";
import { ask, ask1, closeHttp2, connectHttp2 } from "../../support/http2.js";
import { until } from "../../support/server.js";
import { begin, closeAll, type Listener } from "../support.js";

afterEach(async () => {
  await closeHttp2();
  await closeAll();
});

function named(name: string): Express {
  const app = express();
  app.set("env", "test");
  app.use(express.json());
  app.get("/fails", () => {
    throw new Error("planned");
  });
  app.use((req, res) => {
    res.cookie("app", name);
    res.json({ name, ip: req.ip, secure: req.secure, host: req.hostname, body: req.body });
  });
  return app;
}

async function served(listener: Listener): Promise<{ url: string; session: ClientHttp2Session }> {
  const { served } = await begin("http2", {}, listener);
  return { url: served.url, session: connectHttp2(served.url) };
}

describe("Express apps that a plain listener calls", () => {
  it("answer over HTTP/2 and HTTP/1 from their first request on, also several of them", async () => {
    const apps = [named("a"), named("b")];
    const { url, session } = await served((req, res) =>
      apps[req.url === "/b" ? 1 : 0]!(req as never, res as never),
    );
    for (const path of ["/a", "/b", "/a", "/b"]) {
      const two = await ask(session, path);
      const one = await ask1(url, path);
      expect([two.status, two.body]).toEqual([200, one.body]);
      expect(JSON.parse(two.body)).toMatchObject({ name: path.slice(1), secure: true, ip: "127.0.0.1" });
      expect(two.headers["set-cookie"]).toEqual(one.headers["set-cookie"]);
    }
  });

  it("answer with an error at their first request", async () => {
    const app = named("a");
    const { session } = await served((req, res) => app(req as never, res as never));
    expect((await ask(session, "/fails")).status).toBe(500);
    expect((await ask(session, "/")).status).toBe(200);
  });

  it("are bridged also after asynchronous work, when the url was read and changed before", async () => {
    const app = named("a");
    const { session } = await served(async (req, res) => {
      req.url = `${req.url}fails`;
      await new Promise((resolve) => setImmediate(resolve));
      app(req as never, res as never);
    });
    expect((await ask(session, "/")).status).toBe(500);
    expect((await ask(session, "/")).status).toBe(500);
  });
});

it.each([
  ["an Express app", (app: Express): Listener => app],
  [
    "an Express app that a listener calls",
    (app: Express): Listener =>
      (req, res) =>
        app(req as never, res as never),
  ],
])("%s still reads address and protocol of a request after its response", async (_name, listenerOf) => {
  const app = express();
  const found: unknown[] = [];
  app.use((req, res) => {
    res.on("close", () =>
      setImmediate(() => {
        const { remoteAddress, remotePort, localPort, encrypted } = req.socket as typeof req.socket & {
          encrypted: boolean;
        };
        found.push([
          req.ip,
          req.secure,
          req.protocol,
          remoteAddress,
          typeof remotePort,
          localPort,
          encrypted,
        ]);
        req.socket.destroy();
      }),
    );
    res.send("answered");
  });
  const { url, session } = await served(listenerOf(app));
  await ask(session, "/");
  await until(() => found.length >= 1);
  expect(found[0]).toEqual([
    "127.0.0.1",
    true,
    "https",
    "127.0.0.1",
    "number",
    Number(new URL(url).port),
    true,
  ]);
  expect((await ask(session, "/")).body).toBe("answered");
});
