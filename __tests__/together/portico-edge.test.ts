import express from "express";
import type { CorsOptions } from "../../src/cors/index.js";
import type { CsrfOptions } from "../../src/csrf/index.js";
import { type PorticoOptions, portico } from "../../src/portico.js";
import { closeServers, listen, raw } from "../support/server.js";

afterEach(closeServers);

const quiet = { log: false, context: { check: false } } as const;

async function ask(options: PorticoOptions, method: string, fields: string, host = "api.example") {
  const { before, after } = portico({ ...quiet, ...options });
  const app = express().use(before);
  app.post("/", (_req, res) => void res.send("reached"));
  app.use(after);
  const { port } = await listen(app);
  const { text } = await raw(
    port,
    `${method} / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${fields}\r\n`,
  );
  return { status: Number(text.slice(9, 12)), text };
}

it("the members are in the contract's order", () => {
  const { before, after } = portico({ allowedHosts: ["a.example"], cors: {}, csrf: {} });
  expect([...before, ...after].map(({ name }) => name)).toEqual([
    "requestContext",
    "requestLog",
    "allowedHosts",
    "securityHeaders",
    "cors",
    "csrf",
    "notFound",
    "recover",
  ]);
});

it("allowedHosts takes a host, a list or an object; its answers stand before headers and cors", async () => {
  for (const allowedHosts of [
    "api.example",
    ["api.example"],
    { hosts: ["api.example"], explain: false },
  ] as const) {
    expect((await ask({ allowedHosts }, "POST", "")).status).toBe(200);
    const { status, text } = await ask(
      { allowedHosts, cors: {} },
      "POST",
      "Origin: https://x.example\r\n",
      "b.example",
    );
    expect(status).toBe(421);
    expect(text).not.toMatch(/^Access-Control-/im);
  }
});

it.each<[string, CorsOptions | false, CsrfOptions, number]>([
  ["an exact origin with credentials", { origin: "https://app.example", credentials: true }, {}, 200],
  ["a list with it", { origin: ["https://x.example", "https://app.example"], credentials: true }, {}, 200],
  ["without credentials", { origin: "https://app.example" }, {}, 403],
  ["a pattern", { origin: "https://*.example.com", credentials: true }, {}, 403],
  ["a RegExp", { origin: [/^https:\/\/app\.example$/], credentials: true }, {}, 403],
  ["a function", { origin: () => true, credentials: true }, {}, 403],
  [
    "an explicit empty list of csrf",
    { origin: "https://app.example", credentials: true },
    { trustedOrigins: [] },
    403,
  ],
  [
    "a list of csrf's own",
    { origin: "https://x.example", credentials: true },
    { trustedOrigins: ["https://app.example"] },
    200,
  ],
  ["no cors", false, {}, 403],
])("csrf and cors with %s: %#", async (_name, cors, csrf, status) => {
  const fields = "Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n";
  expect((await ask({ cors, csrf }, "POST", fields)).status).toBe(status);
});

it("a page of an allowed origin can read the refusal of csrf", async () => {
  const cors = { origin: ["https://app.example"], credentials: true } as const;
  const fields = "Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n";
  const { status, text } = await ask({ cors, csrf: { trustedOrigins: [] } }, "POST", fields);
  expect(status).toBe(403);
  expect(text).toMatch(/^Access-Control-Allow-Origin: https:\/\/app\.example/im);
});

it("notFound has its options, and answers 405", async () => {
  expect((await ask({}, "DELETE", "")).status).toBe(405);
  expect((await ask({ notFound: { methodNotAllowed: false } }, "DELETE", "")).status).toBe(404);
});

it.each<[string, unknown, RegExp]>([
  ["allowedHosts", undefined, /environment variable/],
  ["csrf", undefined, /environment variable/],
  ["allowedHosts", true, /write the list of hosts/],
  ["csrf", true, /write \{\}/],
  ["allowedHosts", { hosts: ["https://a.example"] }, /allowedHosts\.hosts\[0\]/],
  ["csrf", { trustedOrigins: ["a.example"] }, /csrf\.trustedOrigins\[0\]/],
  ["notFound", { method: 1 }, /notFound\.method/],
])("%s: %j is a problem", (name, given, message) => {
  expect(() => portico({ [name]: given } as never)).toThrow(message);
});
