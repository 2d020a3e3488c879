import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import express5, { type Express, type RequestHandler } from "express";
import request, { type Test } from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen } from "../support/server.js";
import { A, answerErrors, appOf, B, granted, PREFLIGHT } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "portico-cors-"));
writeFileSync(join(folder, "file.txt"), "0123456789");
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(closeServers);

const FULL: CorsOptions = { origin: A, credentials: true, exposedHeaders: "ETag, Content-Type, X-B" };
const FULL_GRANT = {
  "access-control-allow-origin": A,
  "access-control-allow-credentials": "true",
  "access-control-expose-headers": "ETag,Content-Type,X-B",
};

describe.each(expressVersions)("on %s", (_version, express) => {
  const app = appOf(express);

  it("sends credentials and exposed headers only to an allowed origin, on responses and preflights", async () => {
    const made = app(FULL);
    const res = await request(made).get("/").set("Origin", A);
    expect(granted(res.headers)).toEqual(FULL_GRANT);
    expect((await request(made).options("/").set(PREFLIGHT)).headers).toMatchObject(FULL_GRANT);
    expect(granted((await request(made).get("/").set("Origin", B)).headers)).toEqual({});
    expect(granted((await request(made).get("/")).headers)).toEqual({});
  });

  describe("with any later handler", () => {
    const everything = (): Express => {
      const made = express();
      made.use(cors(FULL));
      made.get("/etag", (_req, res) => void res.set("ETag", '"v1"').send("ok"));
      made.get("/moved", (_req, res) => res.redirect("/etag"));
      made.get("/denied", (_req, res) => void res.sendStatus(401));
      made.get("/boom", () => {
        throw new Error("boom");
      });
      made.get("/raw", (_req, res) => void res.writeHead(200, ["X-A", "b"]).end());
      made.get("/late", (_req, _res, next) => void setImmediate(() => next(new Error("late"))));
      made.post("/json", express5.json({ limit: 5 }), (_req, res) => void res.send("read"));
      made.use("/static", express.static(folder));
      return made;
    };

    it.each<[string, number, (agent: ReturnType<typeof request>) => Test]>([
      ["an answer", 200, (a) => a.get("/etag")],
      ["a HEAD", 200, (a) => a.head("/etag")],
      ["a bare writeHead", 200, (a) => a.get("/raw")],
      ["a part of a file", 206, (a) => a.get("/static/file.txt").set("Range", "bytes=0-3")],
      ["a redirect", 302, (a) => a.get("/moved").redirects(0)],
      ["a static redirect", 301, (a) => a.get("/static").redirects(0)],
      ["an answer not modified", 304, (a) => a.get("/etag").set("If-None-Match", '"v1"')],
      ["a 401", 401, (a) => a.get("/denied")],
      ["Express's own 404", 404, (a) => a.get("/nothing")],
      ["a refused upload", 413, (a) => a.post("/json").send({ much: "too much" })],
      ["Express's own 500", 500, (a) => a.get("/boom")],
      ["a late error", 500, (a) => a.get("/late")],
    ])("%s (%i) has the headers, and for a refused origin only Vary", async (_name, status, ask) => {
      const allowed = await ask(request(everything())).set("Origin", A).expect(status);
      expect(granted(allowed.headers)).toEqual(FULL_GRANT);
      expect(allowed.headers.vary).toMatch(/(?:^|, )Origin(?:$|,)/);
      const refused = await ask(request(everything())).set("Origin", B).expect(status);
      expect(granted(refused.headers)).toEqual({});
      expect(refused.headers.vary).toMatch(/(?:^|, )Origin(?:$|,)/);
    });
  });

  describe("a second one on a route", () => {
    const send = (outer: CorsOptions, inner: CorsOptions) => {
      const made = express();
      made.use(cors(outer));
      made.all("/", cors(inner), (_req, res) => void res.send("x"));
      return made;
    };

    it.each<[string, CorsOptions, CorsOptions, Record<string, string>]>([
      ["open after named", FULL, {}, { "access-control-allow-origin": "*" }],
      ["named after open", { exposedHeaders: "X-Z" }, FULL, FULL_GRANT],
      ["named after named", FULL, { origin: A }, { "access-control-allow-origin": A }],
      ["a refusal after a grant", FULL, { origin: B }, {}],
      ["a refusal after the open recipe", {}, { origin: false }, {}],
      ["a function's refusal", FULL, { origin: async () => false }, {}],
      [
        "a function's grant",
        { origin: false },
        { origin: async () => true },
        { "access-control-allow-origin": A },
      ],
    ])("replaces the headers of the first: %s", async (_name, outer, inner, expected) => {
      expect(granted((await request(send(outer, inner)).get("/").set("Origin", A)).headers)).toEqual(
        expected,
      );
    });

    it("keeps no header of the first if its function throws", async () => {
      const made = send(FULL, {
        origin: () => {
          throw new Error("db");
        },
      });
      made.use(answerErrors);
      const res = await request(made).get("/").set("Origin", A).expect(500, "handled");
      expect([granted(res.headers), res.headers.vary]).toEqual([{}, "Origin"]);
    });

    it("does not get the preflights that the first has answered", async () => {
      await request(send({ origin: A }, {}))
        .options("/")
        .set({ ...PREFLIGHT, Origin: B })
        .expect(403);
      const before = express();
      before.use("/open", cors());
      before.use(cors({ origin: A }));
      await request(before)
        .options("/open")
        .set({ ...PREFLIGHT, Origin: B })
        .expect(200);
      await request(before)
        .options("/shut")
        .set({ ...PREFLIGHT, Origin: B })
        .expect(403);
    });
  });

  it("reaches an error handler and does not end the process if the response has begun before", async () => {
    const begin: RequestHandler = (_req, res, next) => {
      res.write("begun");
      next();
    };
    const made = express();
    const seen = jest.fn();
    made.use(begin, cors({ origin: A }));
    made.use(((error, _req, res, _next) => {
      seen((error as NodeJS.ErrnoException).code);
      res.end();
    }) satisfies import("express").ErrorRequestHandler);
    await request(made).get("/").set("Origin", A).expect(200, "begun");
    expect(seen.mock.calls).toEqual([["ERR_HTTP_HEADERS_SENT"]]);
  });
});

it("works on plain node:http, without Express", async () => {
  const handler = cors({ origin: [A], maxAge: 5 });
  const server = await listen((req, res) => handler(req as never, res as never, () => res.end("on")));
  const res = await request(server.url).get("/").set("Origin", A).expect(200, "on");
  expect(granted(res.headers)).toEqual({ "access-control-allow-origin": A });
  const preflight = await request(server.url).options("/").set(PREFLIGHT).expect(204, "");
  expect(preflight.headers).toMatchObject({
    "access-control-allow-origin": A,
    "access-control-max-age": "5",
  });
});

it("works on HTTP/2, as Node's compatibility layer has it", async () => {
  const handler = cors({ origin: A });
  const server = http2.createServer((req, res) => handler(req as never, res as never, () => res.end("on")));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const send = (headers: http2.OutgoingHttpHeaders) =>
    new Promise<http2.IncomingHttpHeaders>((resolve, reject) => {
      const stream = session.request({ ":path": "/", ...headers }, { endStream: true });
      stream.on("response", resolve).on("error", reject).resume();
    });
  try {
    const allowed = await send({ origin: A });
    expect(allowed).toMatchObject({ ":status": 200, "access-control-allow-origin": A, vary: "Origin" });
    const ask = { ":method": "OPTIONS", "access-control-request-method": "PUT" };
    expect(await send({ ...ask, origin: A })).toMatchObject({
      ":status": 204,
      "access-control-allow-origin": A,
    });
    const refused = await send({ ...ask, origin: B });
    expect([refused[":status"], granted(refused)]).toEqual([403, {}]);
  } finally {
    session.close();
    await new Promise((resolve) => server.close(resolve));
  }
});
