import request from "supertest";
import type { CorsOptions } from "../../src/cors/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";
import { appOf, granted, PREFLIGHT, PREFLIGHT_VARY } from "./support.js";

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
    ["a preflight that asks for headers", { ...PREFLIGHT, "Access-Control-Request-Headers": "x-a,x-b" }, "*"],
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
