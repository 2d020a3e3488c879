import type { RequestHandler } from "express";
import request from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";

afterEach(closeServers);

const A = "https://a.example";
const PREFLIGHT = { Origin: A, "Access-Control-Request-Method": "PUT" };

const granted = (headers: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("access-control-")));

describe.each(expressVersions)("on %s", (_version, express) => {
  function app(options?: CorsOptions, ...more: RequestHandler[]) {
    const made = express();
    made.use(cors(options), ...more);
    made.use((req, res) => void res.send(`${req.method} reached`));
    return made;
  }

  describe("cors() alone", () => {
    it("lets everyone read every answer", async () => {
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
  });

  describe("with origins", () => {
    const options: CorsOptions = {
      origin: [A, "https://*.b.example", "http://localhost:*", /^https:\/\/c\d\.example$/],
    };

    it.each([
      [A, true],
      ["https://x.b.example", true],
      ["https://x.y.b.example", true],
      ["http://localhost", true],
      ["http://localhost:5173", true],
      ["https://c1.example", true],
      ["https://b.example", false],
      ["https://xb.example", false],
      ["https://.b.example", false],
      ["https://a.example.evil.example", false],
      ["http://a.example", false],
      ["https://a.example:8443", false],
      ["https://A.example", false],
      ["https://c1.example.evil", false],
      ["https://x.b.example:444", false],
      ["https://localhost:5173", false],
      ["null", false],
      ["", false],
      [`${A}, ${A}`, false],
      [`https://evil.example, https://x.b.example`, false],
      [`https://${"x.".repeat(4000)}b.example`, false],
    ])("the origin %.60s may read: %p", async (origin, allowed) => {
      const res = await request(app(options)).get("/").set("Origin", origin).expect(200, "GET reached");
      expect(granted(res.headers)).toEqual(allowed ? { "access-control-allow-origin": origin } : {});
      expect(res.headers.vary).toBe("Origin");
      await request(app(options))
        .options("/")
        .set({ Origin: origin, "Access-Control-Request-Method": "PUT" })
        .expect(allowed ? 204 : 403);
    });

    it("varies by Origin with none sent, too", async () => {
      expect((await request(app(options)).get("/")).headers.vary).toBe("Origin");
    });

    it("keeps Origin in a Vary that a handler sets, whatever way it does", async () => {
      const replace: RequestHandler = (req, res) => {
        if (req.url === "/writeHead") res.writeHead(200, { Vary: "Accept" }).end();
        else res.set("Vary", req.url === "/star" ? "*" : "Accept").send("x");
      };
      const made = app(options, replace);
      expect((await request(made).get("/set")).headers.vary).toBe("Accept, Origin");
      expect((await request(made).get("/writeHead")).headers.vary).toBe("Accept, Origin");
      expect((await request(made).get("/star")).headers.vary).toBe("*");
    });

    it("two Origin headers are none", async () => {
      const server = await listen(app(options));
      const head = `GET / HTTP/1.1\r\nHost: a\r\nOrigin: ${A}\r\nOrigin: ${A}\r\n\r\n`;
      expect((await raw(server.port, head, 40)).text).not.toMatch(/Access-Control/i);
    });

    it("hands on an OPTIONS that is no preflight", async () => {
      await request(app(options)).options("/").expect(200, "OPTIONS reached");
      const res = await request(app(options)).options("/").set("Origin", A).expect(200, "OPTIONS reached");
      expect(res.headers["access-control-allow-origin"]).toBe(A);
    });

    it('answers every OPTIONS with shortCircuit "all"', async () => {
      const made = app({ ...options, shortCircuit: "all" });
      await request(made).options("/").expect(200, "");
      await request(made).options("/").set("Origin", "https://evil.example").expect(200, "");
      await request(made)
        .options("/")
        .set({ ...PREFLIGHT, Origin: "https://evil.example" })
        .expect(403);
    });
  });

  it("origin false allows nobody, and varies by nothing", async () => {
    const res = await request(app({ origin: false }))
      .get("/")
      .set("Origin", A)
      .expect(200);
    expect(granted(res.headers)).toEqual({});
    expect(res.headers).not.toHaveProperty("vary");
    await request(app({ origin: false }))
      .options("/")
      .set(PREFLIGHT)
      .expect(403);
  });

  describe("a preflight", () => {
    const ask = (options: CorsOptions, method: string, headers?: string) => {
      const call = request(app({ origin: A, ...options })).options("/");
      call.set({ Origin: A, "Access-Control-Request-Method": method });
      return headers === undefined ? call : call.set("Access-Control-Request-Headers", headers);
    };

    it.each<[string, CorsOptions, string, string | undefined, object | undefined]>([
      [
        "by default",
        {},
        "PUT",
        "x-a,x-b",
        { methods: "GET, HEAD, PUT, PATCH, POST, DELETE", headers: "x-a, x-b" },
      ],
      ["without headers", {}, "DELETE", undefined, { methods: "GET, HEAD, PUT, PATCH, POST, DELETE" }],
      ["for an unlisted method", {}, "PURGE", undefined, undefined],
      ["for GET, unlisted", { methods: "PUT" }, "GET", undefined, { methods: "PUT" }],
      ["for HEAD and POST, unlisted", { methods: [] }, "POST", undefined, { methods: "" }],
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
        { methods: expect.anything(), headers: "X-A, X-B" },
      ],
      ["for an unlisted header", { allowedHeaders: ["X-A"] }, "PUT", "x-a,x-c", undefined],
      ["for a header where none are", { allowedHeaders: [] }, "PUT", "x-a", undefined],
      ["for any header", { allowedHeaders: "*" }, "PUT", "x-z", { methods: expect.anything(), headers: "*" }],
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
        { methods: expect.anything(), headers: "authorization, x", credentials: "true" },
      ],
      ["with a list of junk", {}, "PUT", "x a", undefined],
      [
        "with split, spaced headers",
        {},
        "PUT",
        "X-A ,\tx-b,,",
        { methods: expect.anything(), headers: "X-A, x-b" },
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
      expect(res.headers.vary).toBe("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    });

    it("of 204 has neither body nor Content-Length nor Content-Type", async () => {
      const server = await listen(app({ origin: A }));
      const { text } = await raw(
        server.port,
        `OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: ${A}\r\nAccess-Control-Request-Method: PUT\r\n\r\n`,
        40,
      );
      expect(text).toMatch(/^HTTP\/1\.1 204 No Content\r\n/);
      expect(text).not.toMatch(/^content-/im);
    });

    it("takes the status it is told", async () => {
      expect((await ask({ optionsSuccessStatus: 200 }, "PUT")).status).toBe(200);
    });

    it.each([
      [
        "origin",
        { origin: "https://b.example" },
        "PUT",
        undefined,
        /the origin https:\/\/a\.example is not allowed/,
      ],
      ["method", {}, "PURGE", undefined, /the method PURGE is not allowed: it is not one of GET, HEAD/],
      [
        "header",
        { allowedHeaders: "X-A" },
        "PUT",
        "x-c",
        /the header x-c is not allowed: it is not one of x-a/,
      ],
    ] as const)("that is refused says which: %s", async (_part, options, method, headers, why) => {
      const res = await ask(options as CorsOptions, method, headers);
      expect(res.text).toMatch(why);
      expect(res.headers["content-type"]).toMatch(/^text\/plain/);
      const silent = await ask({ ...(options as CorsOptions), explain: false }, method, headers);
      expect([silent.status, silent.text]).toEqual([403, ""]);
    });

    it("says nothing in production", async () => {
      const env = process.env.NODE_ENV;
      process.env.NODE_ENV = "production";
      const made = app({ origin: "https://b.example" });
      process.env.NODE_ENV = env;
      expect((await request(made).options("/").set(PREFLIGHT)).text).toBe("");
    });
  });

  describe("credentials and exposed headers", () => {
    it("are granted to an allowed origin, on the answer and the preflight", async () => {
      const made = app({ origin: A, credentials: true, exposedHeaders: "ETag, Content-Type, X-B" });
      for (const res of [
        await request(made).get("/").set("Origin", A),
        await request(made).options("/").set(PREFLIGHT),
      ]) {
        expect(res.headers).toMatchObject({
          "access-control-allow-credentials": "true",
          "access-control-expose-headers": "ETag, X-B",
        });
      }
      expect(granted((await request(made).get("/").set("Origin", "https://b.example")).headers)).toEqual({});
    });
  });

  describe("the origin null", () => {
    it.each<[CorsOptions, string | undefined]>([
      [{}, "*"],
      [{ origin: "*" }, "*"],
      [{ origin: A }, undefined],
      [{ origin: A, allowNull: true }, "null"],
      [{ origin: /^.*$/ }, undefined],
      [{ origin: () => true }, undefined],
      [{ origin: () => false, allowNull: true }, "null"],
    ])("with %p gets %p", async (options, expected) => {
      const res = await request(app(options)).get("/").set("Origin", "null");
      expect(res.headers["access-control-allow-origin"]).toBe(expected);
    });
  });

  describe("an origin function", () => {
    it.each<[string, unknown, boolean]>([
      ["true", true, true],
      ["a promise of true", Promise.resolve(true), true],
      ["false", false, false],
      ["undefined", undefined, false],
      ["1", 1, false],
      ["a promise of 'yes'", Promise.resolve("yes"), false],
      ["an origin", A, false],
    ])("that returns %s", async (_name, returned, allowed) => {
      const res = await request(app({ origin: () => returned as boolean }))
        .get("/")
        .set("Origin", A)
        .expect(200, "GET reached");
      expect(granted(res.headers)).toEqual(allowed ? { "access-control-allow-origin": A } : {});
      expect(res.headers.vary).toBe("Origin");
    });

    it("is asked with the origin and the request, only if there is one origin", async () => {
      const origin = jest.fn((_origin: string, req: import("express").Request) => req.path === "/yes");
      const made = app({ origin });
      await request(made).get("/yes");
      await request(made).get("/yes").set("Origin", "null");
      await request(made).get("/yes").set("Origin", `${A}, ${A}`);
      expect(origin).not.toHaveBeenCalled();
      const yes = await request(made).get("/yes").set("Origin", A);
      expect(yes.headers["access-control-allow-origin"]).toBe(A);
      expect(origin).toHaveBeenCalledTimes(1);
    });

    it.each([
      [
        "throws",
        () => {
          throw new Error("db");
        },
      ],
      [
        "throws undefined",
        () => {
          throw undefined;
        },
      ],
      ["rejects", () => Promise.reject(new Error("db"))],
      ["rejects with nothing", () => Promise.reject(undefined)],
      ["rejects with 'route'", () => Promise.reject("route")],
    ])("that %s reaches the error handler", async (_name, origin) => {
      const made = app({ origin: origin as unknown as () => boolean });
      made.use(
        ((_err, _req, res, _next) =>
          void res.status(500).send("handled")) as import("express").ErrorRequestHandler,
      );
      const res = await request(made).get("/").set("Origin", A).expect(500, "handled");
      expect(granted(res.headers)).toEqual({});
      await request(made).options("/").set(PREFLIGHT).expect(500);
    });
  });

  describe("a second one on a route", () => {
    const both = (outer: CorsOptions, inner: CorsOptions) => {
      const made = express();
      made.use(cors(outer));
      made.get("/", cors(inner), (_req, res) => void res.send("x"));
      return request(made).get("/").set("Origin", A);
    };

    it("replaces what the first has said", async () => {
      const one = { origin: A, credentials: true, exposedHeaders: "X-A" };
      expect(granted((await both(one, {})).headers)).toEqual({ "access-control-allow-origin": "*" });
      expect(granted((await both({}, one)).headers)["access-control-allow-origin"]).toBe(A);
      expect(granted((await both(one, { origin: "https://b.example" })).headers)).toEqual({});
    });
  });
});

it("has the name of what it does, whatever its origin", () => {
  for (const origin of ["*", A, false, () => true] as const) expect(cors({ origin }).name).toBe("cors");
});
