import request from "supertest";
import type { CorsOptions } from "../../src/cors/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";
import { A, appOf, B, granted, PREFLIGHT, PREFLIGHT_VARY } from "./support.js";

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
