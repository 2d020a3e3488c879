import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import express5, { type Express, type Request, type RequestHandler } from "express";
import request, { type Test } from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { knownState } from "../../src/lib/request/state.js";
import { requestLog } from "../../src/request-log/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";
import { A, answerErrors, appOf, B, granted, PREFLIGHT, PREFLIGHT_VARY } from "./support.js";

describe("responses", () => {
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
});

describe("preflights", () => {
  afterEach(closeServers);

  const DEFAULT_METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE";

  describe.each(expressVersions)("on %s", (_version, express) => {
    const app = appOf(express);

    describe("a preflight", () => {
      const ask = (options: CorsOptions, method: string, headers?: string) => {
        const call = request(app({ origin: A, ...options })).options("/");
        call.set({ Origin: A, "Access-Control-Request-Method": method });
        return headers === undefined ? call : call.set("Access-Control-Request-Headers", headers);
      };

      it.each<[string, CorsOptions, string, string | undefined, object | undefined]>([
        ["by default", {}, "PUT", "x-a,x-b", { methods: DEFAULT_METHODS, headers: "x-a,x-b" }],
        ["without headers", {}, "DELETE", undefined, { methods: DEFAULT_METHODS }],
        ["for an unlisted method", {}, "PURGE", undefined, undefined],
        ["for GET, unlisted", { methods: "PUT" }, "GET", undefined, { methods: "PUT" }],
        ["for POST, where none are listed", { methods: [] }, "POST", undefined, {}],
        ["for a method in lower case", { methods: ["put"] }, "put", undefined, undefined],
        ["for a method listed in lower case", { methods: ["put"] }, "PUT", undefined, { methods: "PUT" }],
        ["for two methods", {}, "PUT, PATCH", undefined, undefined],
        ["for any method", { methods: "*" }, "PURGE", undefined, { methods: "*" }],
        [
          "for any, with credentials",
          { methods: "*", credentials: true },
          "PURGE",
          undefined,
          { methods: "PURGE", credentials: "true" },
        ],
        [
          "for listed headers",
          { allowedHeaders: "X-A, X-B" },
          "PUT",
          "x-a",
          { methods: expect.anything(), headers: "X-A,X-B" },
        ],
        ["for an unlisted header", { allowedHeaders: ["X-A"] }, "PUT", "x-a,x-c", undefined],
        ["for a header where none are", { allowedHeaders: [] }, "PUT", "x-a", undefined],
        [
          "for no header where none are",
          { allowedHeaders: [] },
          "PUT",
          undefined,
          { methods: DEFAULT_METHODS },
        ],
        [
          "for a method of any case, listed twice",
          { methods: ["Get-It", "GET-IT"] },
          "Get-It",
          undefined,
          { methods: "Get-It,GET-IT" },
        ],
        ["for a method of the other case", { methods: ["Get-It"] }, "GET-IT", undefined, undefined],
        ["for no method", {}, "", undefined, undefined],
        [
          "for 500 short names",
          {},
          "PUT",
          Array.from({ length: 500 }, () => "x").join(","),
          { methods: DEFAULT_METHODS, headers: Array.from({ length: 500 }, () => "x").join(",") },
        ],
        [
          "with credentials and any header, over 1,024 bytes",
          { allowedHeaders: "*", credentials: true },
          "PUT",
          "x".repeat(1025),
          undefined,
        ],
        [
          "for Authorization, listed beside a *",
          { allowedHeaders: ["*", "Authorization"] },
          "PUT",
          "authorization",
          { methods: DEFAULT_METHODS, headers: "*, Authorization" },
        ],
        [
          "for any header",
          { allowedHeaders: "*" },
          "PUT",
          "x-z",
          { methods: expect.anything(), headers: "*" },
        ],
        [
          "for Authorization",
          { allowedHeaders: "*" },
          "PUT",
          "Authorization",
          { methods: expect.anything(), headers: "*, Authorization" },
        ],
        [
          "for any, with credentials",
          { allowedHeaders: "*", credentials: true },
          "PUT",
          "authorization,x",
          { methods: expect.anything(), headers: "authorization,x", credentials: "true" },
        ],
        ["with a list of junk", {}, "PUT", "x a", undefined],
        [
          "with split, spaced headers",
          {},
          "PUT",
          "X-A ,\tx-b,,",
          { methods: expect.anything(), headers: "X-A,x-b" },
        ],
        ["with 17 empty elements", {}, "PUT", `x${",".repeat(18)}`, undefined],
        [
          "with 1,024 bytes of names",
          {},
          "PUT",
          "x".repeat(1024),
          { methods: expect.anything(), headers: "x".repeat(1024) },
        ],
        ["with 1,025 bytes of names", {}, "PUT", "x".repeat(1025), undefined],
        ["with a maxAge", { maxAge: 0 }, "PUT", undefined, { methods: expect.anything(), age: "0" }],
      ])("%s", async (_name, options, method, headers, allowed) => {
        const res = await ask(options, method, headers);
        expect(res.status).toBe(allowed === undefined ? 403 : 204);
        const names = {
          methods: "allow-methods",
          headers: "allow-headers",
          credentials: "allow-credentials",
          age: "max-age",
        };
        const given = Object.entries(allowed ?? {}).map(([key, value]) => [
          `access-control-${names[key as "age"]}`,
          value,
        ]);
        expect(granted(res.headers)).toEqual(
          allowed === undefined ? {} : { "access-control-allow-origin": A, ...Object.fromEntries(given) },
        );
        expect(res.headers.vary).toBe(PREFLIGHT_VARY);
      });

      it("of 204 has no body, Content-Length or Content-Type", async () => {
        const server = await listen(app({ origin: A }));
        const { text } = await raw(
          server.port,
          `OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: ${A}\r\nAccess-Control-Request-Method: PUT\r\n\r\n`,
          40,
        );
        expect(text).toMatch(/^HTTP\/1\.1 204 No Content\r\n/);
        expect(text).not.toMatch(/^content-/im);
      });

      it.each<[string, CorsOptions, Record<string, string>]>([
        ['the origin "https://a.example" matches nothing in the option origin', { origin: B }, {}],
        [
          'the origin "https://a.example" is refused, as all origins are: the option origin is false',
          { origin: false },
          {},
        ],
        [
          'the origin "https://a.example" is refused by the function in the option origin, which did not return true',
          { origin: () => false },
          {},
        ],
        ['the origin "null" is refused unless allowNull is true', {}, { Origin: "null" }],
        [
          'the origin "https://a.example, https://b.example" is not one origin as browsers send it',
          {},
          { Origin: `${A}, ${B}` },
        ],
        [
          'the method "PURGE" is not in the option methods (GET, HEAD, PUT, PATCH, POST, DELETE)',
          {},
          { "Access-Control-Request-Method": "PURGE" },
        ],
        [
          'the method "PURGE" is not in the option methods (none)',
          { methods: [] },
          { "Access-Control-Request-Method": "PURGE" },
        ],
        ['the method "PUT, PATCH" is not one method', {}, { "Access-Control-Request-Method": "PUT, PATCH" }],
        [
          'the header "x-c" is not in the option allowedHeaders (x-a)',
          { allowedHeaders: "X-A" },
          { "Access-Control-Request-Headers": "x-a,x-c" },
        ],
        ['the header "x c" is not a list of header names', {}, { "Access-Control-Request-Headers": "x c" }],
        [
          `the header "${"x".repeat(78)}\u2026 is over 1024 bytes: list the headers in allowedHeaders`,
          {},
          { "Access-Control-Request-Headers": "x".repeat(2_000) },
        ],
      ])("that is refused says why: %s", async (why, options, headers) => {
        const send = (explain: boolean | undefined) =>
          request(app({ origin: A, ...options, explain }))
            .options("/")
            .set({ ...PREFLIGHT, ...headers });
        const res = await send(undefined).expect(403, `CORS preflight refused: ${why}.\n`);
        expect(res.headers).toMatchObject({
          "content-type": "text/plain; charset=utf-8",
          "x-content-type-options": "nosniff",
          vary: PREFLIGHT_VARY,
        });
        expect(granted(res.headers)).toEqual({});
        const silent = await send(false).expect(403, "");
        expect(silent.headers.vary).toBe(PREFLIGHT_VARY);
      });

      it("gives no reason in production", async () => {
        const env = process.env.NODE_ENV;
        process.env.NODE_ENV = "production";
        const made = app({ origin: B });
        process.env.NODE_ENV = env;
        await request(made).options("/").set(PREFLIGHT).expect(403, "");
      });

      it("never reaches later handlers, allowed or refused", async () => {
        const below = jest.fn((_req, _res, next) => next());
        const made = app({ origin: A }, below);
        await request(made).options("/").set(PREFLIGHT).expect(204);
        await request(made)
          .options("/")
          .set({ ...PREFLIGHT, Origin: B })
          .expect(403);
        expect(below).not.toHaveBeenCalled();
      });

      it("with 200 has Content-Length: 0, which old browsers need", async () => {
        const res = await request(app({ origin: A, optionsSuccessStatus: 200 }))
          .options("/")
          .set(PREFLIGHT);
        expect([res.status, res.text, res.headers["content-length"]]).toEqual([200, "", "0"]);
        expect(res.headers).not.toHaveProperty("content-type");
      });
    });
  });
});

describe("refused requests", () => {
  describe.each(
    expressVersions,
  )("on %s, the request's record says what refused a preflight", (_version, express) => {
    async function refusedOf(options: CorsOptions, method: string, headers: Record<string, string>) {
      let seen: Request | undefined;
      const app = express();
      app.use((req, _res, next) => {
        seen = req;
        next();
      }, cors(options));
      app.use((_req, res) => void res.send("reached"));
      const { status } = await request(app)[method === "OPTIONS" ? "options" : "get"]("/").set(headers);
      return [status, knownState(seen!)?.refused];
    }
    const asks = (headers: Record<string, string>) => ({ ...PREFLIGHT, ...headers });

    it.each<[string, CorsOptions, Record<string, string>, string]>([
      ["an origin that is not listed", { origin: "https://b.example" }, PREFLIGHT, "origin"],
      ["an origin that a function refuses", { origin: () => false }, PREFLIGHT, "origin"],
      ["an origin that a promise refuses", { origin: async () => false }, PREFLIGHT, "origin"],
      ["null", { origin: A }, asks({ Origin: "null" }), "origin"],
      ["origin: false", { origin: false }, PREFLIGHT, "origin"],
      ["a method", { origin: A, methods: ["GET"] }, PREFLIGHT, "method"],
      ["what is no method", { origin: A }, asks({ "Access-Control-Request-Method": "P UT" }), "method"],
      [
        "a header",
        { origin: A, allowedHeaders: ["x-a"] },
        asks({ "Access-Control-Request-Headers": "x-b" }),
        "header",
      ],
      [
        "too many headers",
        { origin: A },
        asks({ "Access-Control-Request-Headers": "x".repeat(1_025) }),
        "header",
      ],
      ["explain or not", { origin: false, explain: false }, PREFLIGHT, "origin"],
    ])("for %s", async (_name, options, headers, reason) => {
      expect(await refusedOf(options, "OPTIONS", headers)).toEqual([403, { by: "cors", reason }]);
    });

    it("and the log entry has the reason", async () => {
      const lines: string[] = [];
      const log = requestLog({ format: "json", stream: { write: (line: string) => lines.push(line) } });
      const app = express();
      app.use(log, cors({ origin: A, methods: ["GET"] }));
      await request(app).options("/").set(PREFLIGHT).expect(403);
      expect(JSON.parse(lines[0]!)).toMatchObject({ status: 403, refused: { by: "cors", reason: "method" } });
    });

    it.each<[string, CorsOptions, string, Record<string, string>, number]>([
      ["an allowed preflight", { origin: A }, "OPTIONS", PREFLIGHT, 204],
      [
        "a request of a refused origin, which goes on",
        { origin: "https://b.example" },
        "GET",
        { Origin: A },
        200,
      ],
      [
        "an OPTIONS that is no preflight",
        { origin: false, shortCircuit: "all" },
        "OPTIONS",
        { Origin: A },
        200,
      ],
    ])("but nothing for %s", async (_name, options, method, headers, status) => {
      expect(await refusedOf(options, method, headers)).toEqual([status, undefined]);
    });
  });
});

describe("the recipe for an open API", () => {
  afterEach(closeServers);

  describe.each(expressVersions)("cors() alone, on %s,", (_version, express) => {
    const app = appOf(express);

    it("allows every origin on every response", async () => {
      const res = await request(app()).get("/").expect(200, "GET reached");
      expect(granted(res.headers)).toEqual({ "access-control-allow-origin": "*" });
      expect(res.headers).not.toHaveProperty("vary");
    });

    it.each([
      ["no Origin at all", {}, "*"],
      ["a preflight", PREFLIGHT, "*"],
      [
        "a preflight that asks for headers",
        { ...PREFLIGHT, "Access-Control-Request-Headers": "x-a,x-b" },
        "*",
      ],
      [
        "one for Authorization",
        { ...PREFLIGHT, "Access-Control-Request-Headers": "authorization,x" },
        "*, Authorization",
      ],
      ["one that looks like it", { ...PREFLIGHT, "Access-Control-Request-Headers": "x-authorization" }, "*"],
      [
        "nonsense",
        { ...PREFLIGHT, "Access-Control-Request-Method": "a b", "Access-Control-Request-Headers": "@@" },
        "*",
      ],
    ])("ends an OPTIONS with %s: 200, empty", async (_name, headers, allowed) => {
      const res = await request(app()).options("/").set(headers).expect(200, "");
      expect(granted(res.headers)).toEqual({
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "GET, POST, OPTIONS, PUT, DELETE, HEAD, PATCH",
        "access-control-allow-headers": allowed,
      });
      expect(res.headers["content-length"]).toBe("0");
    });

    it.each([
      [{}],
      [{ origin: "*" } as CorsOptions],
      [Object.create(null)],
    ])("%j is as open", async (options) => {
      const res = await request(app(options)).options("/").set(PREFLIGHT).expect(200, "");
      expect(res.headers["access-control-allow-origin"]).toBe("*");
    });

    it("sends the three headers in the documented order, and a Vary of what the answer depends on", async () => {
      const server = await listen(app());
      const { text } = await raw(server.port, "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", 40);
      const lines = text.split("\r\n").filter((line) => /^(?:HTTP|Access|Vary|Content)/.test(line));
      expect(lines).toEqual([
        "HTTP/1.1 200 OK",
        "Access-Control-Allow-Origin: *",
        "Access-Control-Allow-Methods: GET, POST, OPTIONS, PUT, DELETE, HEAD, PATCH",
        "Access-Control-Allow-Headers: *",
        "Vary: Access-Control-Request-Headers",
        "Content-Length: 0",
      ]);
    });

    it("is the open recipe only without options", async () => {
      const res = await request(app({ origin: "*" }))
        .options("/")
        .set(PREFLIGHT)
        .expect(200, "");
      expect(granted(res.headers)).toEqual({
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
      });
      await request(app({ origin: "*" }))
        .options("/")
        .set({ ...PREFLIGHT, "Access-Control-Request-Method": "PURGE" })
        .expect(403);
      const noOrigin = await request(app({ origin: "*" }))
        .options("/")
        .expect(200, "");
      expect(granted(noOrigin.headers)).toEqual(granted(res.headers));
      expect([res.headers.vary, noOrigin.headers.vary]).toEqual([PREFLIGHT_VARY, PREFLIGHT_VARY]);
    });

    it('leaves an OPTIONS that is no preflight to the app with shortCircuit "preflight"', async () => {
      const made = app({ shortCircuit: "preflight" });
      const res = await request(made).options("/").expect(200, "OPTIONS reached");
      expect(granted(res.headers)).toEqual({ "access-control-allow-origin": "*" });
      await request(made).options("/").set(PREFLIGHT).expect(204, "");
    });
  });
});
