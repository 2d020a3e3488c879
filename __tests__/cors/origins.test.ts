import type { RequestHandler } from "express";
import request from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";
import { A, appOf, granted, PREFLIGHT, PREFLIGHT_VARY } from "./support.js";

afterEach(closeServers);

describe.each(expressVersions)("on %s", (_version, express) => {
  const app = appOf(express);

  describe("with origins", () => {
    const options: CorsOptions = {
      origin: [
        A,
        "https://*.b.example",
        "http://localhost:*",
        /^https:\/\/c\d\.example$/,
        /^https:\/\/.+\.loose\.example$/,
      ],
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
      [`${A}, https://x.loose.example`, false],
      ["https://x.loose.example", true],
      ["https://evil.example/.loose.example", false],
      ["https://x..b.example", false],
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

    it("sends Vary: Origin also without an Origin", async () => {
      expect((await request(app(options)).get("/")).headers.vary).toBe("Origin");
    });

    it("keeps Origin in Vary when a handler sets Vary in any way", async () => {
      const replace: RequestHandler = (req, res) => {
        if (req.url === "/writeHead") res.writeHead(200, { Vary: "Accept" }).end();
        else res.set("Vary", req.url === "/star" ? "*" : "Accept").send("x");
      };
      const made = app(options, replace);
      expect((await request(made).get("/set")).headers.vary).toBe("Accept, Origin");
      expect((await request(made).get("/writeHead")).headers.vary).toBe("Accept, Origin");
      expect((await request(made).get("/star")).headers.vary).toBe("*");
    });

    it("two Origin headers match nothing", async () => {
      const server = await listen(app(options));
      const head = `GET / HTTP/1.1\r\nHost: a\r\nOrigin: ${A}\r\nOrigin: ${A}\r\n\r\n`;
      expect((await raw(server.port, head, 40)).text).not.toMatch(/Access-Control/i);
    });

    it("passes on an OPTIONS that is no preflight", async () => {
      await request(app(options)).options("/").expect(200, "OPTIONS reached");
      const res = await request(app(options)).options("/").set("Origin", A).expect(200, "OPTIONS reached");
      expect(res.headers["access-control-allow-origin"]).toBe(A);
    });

    it('answers every OPTIONS with shortCircuit "all", also one that is no preflight', async () => {
      const made = app({ ...options, shortCircuit: "all" });
      const none = await request(made).options("/").expect(200, "");
      expect([granted(none.headers), none.headers.vary]).toEqual([{}, PREFLIGHT_VARY]);
      const refused = await request(made).options("/").set("Origin", "https://evil.example").expect(200, "");
      expect([granted(refused.headers), refused.headers.vary]).toEqual([{}, PREFLIGHT_VARY]);
      const allowed = await request(made)
        .options("/")
        .set({ Origin: A, "Access-Control-Request-Headers": "not a list" })
        .expect(200, "");
      expect(granted(allowed.headers)).toEqual({
        "access-control-allow-origin": A,
        "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
      });
      await request(made)
        .options("/")
        .set({ ...PREFLIGHT, Origin: "https://evil.example" })
        .expect(403);
    });
  });

  it("origin: false allows no origin and sends no Vary", async () => {
    const res = await request(app({ origin: false }))
      .get("/")
      .set("Origin", A)
      .expect(200);
    expect(granted(res.headers)).toEqual({});
    expect(res.headers).not.toHaveProperty("vary");
    const refused = await request(app({ origin: false }))
      .options("/")
      .set(PREFLIGHT)
      .expect(403);
    expect(refused.headers.vary).toBe(PREFLIGHT_VARY);
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
});

it("is named cors for every kind of origin", () => {
  for (const origin of ["*", A, false, () => true] as const) expect(cors({ origin }).name).toBe("cors");
});
