import express from "express";
import request from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { appOf, granted } from "./support.js";

const app = appOf(express);

const CHROME = "chrome-extension://bkhaagjahfmjljalopjnoealnfndnagc";
const FIREFOX = "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc";
const SAFARI = "safari-web-extension://E5F2A6D0-1B2C-4D3E-8F4A-5B6C7D8E9F00";

const allowed = async (options: CorsOptions, origin: string) => {
  const { headers } = await request(app(options)).get("/").set("Origin", origin).expect(200);
  const preflight = await request(app(options))
    .options("/")
    .set({ Origin: origin, "Access-Control-Request-Method": "PUT" });
  expect(preflight.status).toBe(headers["access-control-allow-origin"] === undefined ? 403 : 204);
  return headers["access-control-allow-origin"];
};

const problem = (options: CorsOptions): string => {
  try {
    cors(options);
    return "";
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ reason }) => reason).join(" ");
    throw error;
  }
};

it.each([
  CHROME,
  FIREFOX,
  "moz-extension://00000000-0000-4000-8000-000000000001",
  SAFARI,
  "safari-web-extension://e5f2a6d0-1b2c-4d3e-8f4a-5b6c7d8e9f00",
  "http://3dprinter",
  "http://3dprinter:631",
  "http://4f2a1b3c9d8e:3000",
  "https://0a1b2c.internal.4you",
  "http://0xbeefy",
  "https://1password.com",
  "https://example.0day",
  "capacitor://localhost",
  "ionic://localhost",
  "tauri://localhost",
  "app://obsidian.md",
  "app://-",
  "vscode-webview://1a2b3c4d",
  "http://[2001:db8::1]:8080",
  "file://",
])("%s is an origin that can be allowed: by name, in a list, by a function", async (origin) => {
  for (const rule of [origin, ["https://a.example", origin], (asked: string) => asked === origin]) {
    expect(await allowed({ origin: rule }, origin)).toBe(origin);
    expect(await allowed({ origin: rule }, "https://evil.example")).toBeUndefined();
  }
  const escaped = origin.replace(/[/.[\]]/g, "\\$&");
  expect(await allowed({ origin: new RegExp(`^${escaped}$`) }, origin)).toBe(origin);
});

it.each([
  ["http://127.1", /ends like an IPv4 address/],
  ["http://a.0x1f", /ends like an IPv4 address/],
  ["http://a.0x", /ends like an IPv4 address/],
  ["http://2130706433", /ends like an IPv4 address/],
  ["http://a.1", /ends like an IPv4 address/],
  ["http://1.2.3.4.", /ends like an IPv4 address/],
  ["https://A.example", /lower case/],
  [CHROME.replace("bkh", "BKH"), /lower case/],
  [FIREFOX.replace("2c127fa4", "2C127FA4"), /lower case/],
  ["safari-web-extension://E5F2 A6D0", /character/],
  ["safari-web-extension://E5F2A6D0/", /without path/],
  ["file:///", /write "file:\/\/"/],
  ["file:///home/index.html", /write "file:\/\/"/],
  ["FILE://", /lower case.*write "file:\/\/"/],
  ["https://*", /only as the whole first label/],
  ["capacitor://*", /only as the whole first label/],
])("%s is not: %s", (origin, reason) => {
  expect(problem({ origin })).toMatch(reason);
});

it("an upper-case origin matches in its own case only, and never a web origin", async () => {
  expect(await allowed({ origin: SAFARI }, SAFARI.toLowerCase())).toBeUndefined();
  expect(await allowed({ origin: SAFARI.toLowerCase() }, SAFARI)).toBeUndefined();
  const asked = jest.fn(() => true);
  for (const origin of [
    "https://A.example",
    "http://LOCALHOST",
    "wss://A",
    "HTTPS://a.example",
    "Moz-extension://a",
  ]) {
    expect(await allowed({ origin: asked }, origin)).toBeUndefined();
    expect(await allowed({ origin: [/^.*$/] }, origin)).toBeUndefined();
  }
  expect(asked).not.toHaveBeenCalled();
  expect(await allowed({ origin: asked }, SAFARI)).toBe(SAFARI);
});

describe("a pattern over a whole extension scheme", () => {
  it("allows every extension of the scheme and nothing else", async () => {
    const options = { origin: ["moz-extension://*", "https://a.example"] };
    expect(await allowed(options, FIREFOX)).toBe(FIREFOX);
    expect(await allowed(options, "https://a.example")).toBe("https://a.example");
    for (const other of [
      CHROME,
      SAFARI,
      `${FIREFOX}:80`,
      `${FIREFOX}, ${FIREFOX}`,
      "moz-extension://",
      "https://moz-extension",
      "https://x",
    ]) {
      expect([other, await allowed(options, other)]).toEqual([other, undefined]);
    }
  });

  it.each<[string, string | RegExp]>([
    ["a pattern", "moz-extension://*"],
    ["a pattern for Safari", "safari-web-extension://*"],
    ["a RegExp", /^chrome-extension:\/\/[a-p]{32}$/],
    ["a RegExp for Firefox", /^moz-extension:\/\/[0-9a-f-]+$/],
    ["a RegExp for Safari", /^safari-web-extension:\/\/[0-9A-F-]{36}$/],
    ["a RegExp for all", /^[a-z-]+-extension:\/\/.+$/],
  ])("with credentials is a problem: %s", (_name, origin) => {
    expect(problem({ origin, credentials: true })).toMatch(/would allow every extension with credentials/);
    expect(problem({ origin: ["https://a.example", origin], credentials: true })).toMatch(/every extension/);
    expect(problem({ origin })).toBe("");
  });

  it.each([
    CHROME,
    FIREFOX,
    SAFARI,
  ])("with credentials one extension by name is no problem: %s", async (origin) => {
    const options = { origin, credentials: true };
    const { headers } = await request(app(options)).get("/").set("Origin", origin);
    expect(granted(headers)).toEqual({
      "access-control-allow-origin": origin,
      "access-control-allow-credentials": "true",
    });
  });
});

describe("file:// with credentials", () => {
  it.each<[string, CorsOptions["origin"]]>([
    ["by name", "file://"],
    ["in a list", ["https://a.example", "file://"]],
    ["in a RegExp", /^(?:file:\/\/|https:\/\/a\.example)$/],
  ])("is a problem %s", (_name, origin) => {
    expect(problem({ origin, credentials: true })).toMatch(/all files on all computers/);
    expect(problem({ origin })).toBe("");
  });

  it("is refused without a call of the function, and the preflight says why", async () => {
    const origin = jest.fn(() => true);
    const made = app({ origin, credentials: true });
    const res = await request(made).get("/").set("Origin", "file://").expect(200);
    expect([granted(res.headers), res.headers.vary]).toEqual([{}, "Origin"]);
    const refused = await request(made)
      .options("/")
      .set({ Origin: "file://", "Access-Control-Request-Method": "PUT" })
      .expect(403);
    expect(refused.text).toMatch(/"file:\/\/" is refused with credentials/);
    expect(origin).not.toHaveBeenCalled();
  });
});
