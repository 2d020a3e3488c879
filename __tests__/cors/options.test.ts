import express from "express";
import request from "supertest";
import { cors } from "../../src/cors/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { A, appOf, B, granted, PREFLIGHT } from "./support.js";

const app = appOf(express);

it.each<[string, unknown, RegExp]>([
  // no option of cors
  ["options", "https://a.example", /object of options/],
  ["options", null, /object of options/],
  ["options", [A], /object of options/],
  ["options", (_req: unknown, done: () => void) => done(), /origin: \(origin, req\) => boolean/],
  ["origins", { origins: [A] }, /Did you mean "origin"/],
  ["orgin", { orgin: A }, /Did you mean "origin"/],
  ["maxage", { maxage: 5 }, /Did you mean "maxAge"/],
  ["allowHeaders", { allowHeaders: "x" }, /hono's name; here it is `allowedHeaders`/],
  ["credential", { credential: true }, /Did you mean "credentials"/],
  ["preflightContinue", { origin: A, preflightContinue: true }, /shortCircuit: "preflight"/],
  ["headers", { origin: A, headers: ["X-A"] }, /^`headers` is cors's name; here it is `allowedHeaders`$/],
  ["headers", { headers: undefined }, /here it is `allowedHeaders`/],
  // accepted by the cors package, not here
  ["origin", { origin: true }, /"\*" to allow every origin, or list/],
  ["origin", { origin: undefined }, /environment variable missing/],
  [
    "origin",
    { origin: (_o: string, callback: (e: null, ok: boolean) => void) => callback(null, true) },
    /return true or false/,
  ],
  [
    "origin",
    {
      origin: (_o: string, cb: () => void) => {
        cb();
      },
    },
    /return true or false/,
  ],
  ["origin", { origin: (_a: string, _b: unknown, _c: unknown) => true }, /return true or false/],
  [
    "origin",
    {
      origin(_o: string, callback: () => void) {
        callback();
      },
    },
    /return true or false/,
  ],
  ["origin", { origin: async (_o: string, _callback: unknown) => true }, /return true or false/],
  ["allowNull", { origin: false, allowNull: true }, /allows no origin/],
  ["origin", { origin: /example\.com$/ }, /anchored.*\/\^\(\?:/],
  ["origin", { origin: /^https:\/\/a|b$/ }, /anchored in every alternative/],
  ["origin", { origin: /^a$/g }, /flag g/],
  ["origin", { origin: /^a$/y }, /flag y/],
  ["origin[1]", { origin: [A, /example/] }, /anchored/],
  // origins
  ["origin", { origin: "" }, /begin with a scheme/],
  ["origin", { origin: [] }, /empty list; write false/],
  ["origin", { origin: 5 }, /an origin such as/],
  ["origin", { origin: null }, /an origin such as/],
  ["origin[0]", { origin: [undefined] }, /an origin such as/],
  ["origin[1]", { origin: [A, ""] }, /begin with a scheme/],
  ["origin", { origin: "null" }, /allowNull: true/],
  ["origin", { origin: "app.example" }, /"https:\/\/app\.example"/],
  ["origin", { origin: "//app.example" }, /"https:\/\/app\.example"/],
  ["origin", { origin: `${A}/` }, /without path.*"https:\/\/a\.example"/],
  ["origin", { origin: `${A}/path` }, /without path/],
  ["origin", { origin: `${A}?x` }, /without path/],
  ["origin", { origin: `${A}, https://b.example` }, /write a list/],
  ["origin", { origin: " https://a.example" }, /white space/],
  ["origin", { origin: "https://*" }, /only as the whole first label/],
  ["origin", { origin: "https://a.*.example" }, /only as the whole first label/],
  ["origin", { origin: "https://*a.example" }, /only as the whole first label/],
  ["origin", { origin: "https://a.example:443" }, /leave out the port 443/],
  ["origin", { origin: "HTTPS://a.example" }, /lower case/],
  // credentials
  ["origin", { credentials: true }, /cannot be "\*" with credentials/],
  ["origin", { origin: ["*"], credentials: true }, /list the origins/],
  ["origin", { origin: "http://a.example", credentials: true }, /allowInsecureOrigins: true/],
  ["origin[0]", { origin: ["http://10.0.0.1"], credentials: true }, /not secure/],
  ["origin", { origin: "https://*.com", credentials: true }, /every site under \.com/],
  ["origin", { origin: "https://*.com", credentials: true, allowInsecureOrigins: true }, /every site under/],
  ["origin", { origin: /^https?:\/\/a\.example$/, credentials: true }, /"http:\/\/a\.example".*not secure/],
  ["origin[1]", { origin: [A, /^https:\/\/.+$/], credentials: true }, /foreign sites/],
  // entries next to a *
  ["origin[1]", { origin: ["*", "a.example"] }, /begin with a scheme/],
  ["origin[1]", { origin: ["*", /a/] }, /anchored/],
  ["origin[0]", { origin: [undefined, "*"] }, /an origin such as/],
  ["origin", { origin: ["*", A], credentials: true }, /cannot be "\*" with credentials/],
  ["methods", { methods: ["*", "patch"] }, /write "PATCH"/],
  ["methods", { methods: "*, TRACE" }, /no page can send/],
  ["allowedHeaders", { allowedHeaders: ["*", "Cookie"] }, /no page can send/],
  ["exposedHeaders", { exposedHeaders: ["*", "Set-Cookie"] }, /no page can read/],
  ["exposedHeaders", { origin: A, credentials: true, exposedHeaders: ["ETag", "*"] }, /list the headers/],
  ["credentials", { origin: A, credentials: "true" }, /true or false/],
  ["exposedHeaders", { origin: A, credentials: true, exposedHeaders: "*" }, /list the headers/],
  ["allowNull", { origin: A, credentials: true, allowNull: true }, /with credentials/],
  ["allowNull", { allowNull: 1 }, /true or false/],
  // methods and headers
  ["methods", { methods: 5 }, /list of strings/],
  ["methods", { methods: ["GET", 5] }, /list of strings/],
  ["methods", { methods: "GET,,PUT" }, /empty name/],
  ["methods", { methods: ["patch"] }, /write "PATCH"/],
  ["methods", { methods: ["TRACE"] }, /no page can send/],
  ["methods", { methods: ["connect"] }, /no page can send/],
  ["methods", { methods: ["GE T"] }, /no method/],
  ["allowedHeaders", { allowedHeaders: ["Cookie"] }, /no page can send/],
  ["allowedHeaders", { allowedHeaders: ["Sec-Fetch-Mode"] }, /no page can send/],
  ["allowedHeaders", { allowedHeaders: "Access-Control-Allow-Origin" }, /a response header/],
  ["allowedHeaders", { allowedHeaders: ["X A"] }, /no header name/],
  ["allowedHeaders", { allowedHeaders: true }, /list of strings/],
  ["exposedHeaders", { exposedHeaders: "Set-Cookie" }, /no page can read/],
  ["exposedHeaders", { exposedHeaders: "Origin" }, /a request header/],
  ["exposedHeaders", { exposedHeaders: ["Access-Control-Max-Age"] }, /browser itself/],
  // numbers and choices
  ["maxAge", { maxAge: -1 }, /seconds from 0 to 86400/],
  ["maxAge", { maxAge: 86_401 }, /seconds/],
  ["maxAge", { maxAge: "600" }, /seconds/],
  ["maxAge", { maxAge: 1.5 }, /seconds/],
  ["optionsSuccessStatus", { optionsSuccessStatus: 302 }, /from 200 to 299/],
  ["shortCircuit", { shortCircuit: "none" }, /"all", "preflight"/],
  ["shortCircuit", { shortCircuit: "preflights" }, /Did you mean "preflight"/],
  ["explain", { explain: "yes" }, /true or false/],
])("%s: %p is refused", (option, options, reason) => {
  const [problem] = refused(options).problems;
  expect(problem?.option).toBe(option);
  expect(problem?.reason).toMatch(reason);
});

it.each([
  [{ origin: "*", maxAge: 5 }],
  [{ origin: ["*", A] }],
  [{ origin: "http://localhost:3000", credentials: true }],
  [{ origin: "http://127.0.0.1:*", credentials: true }],
  [{ origin: "http://[::1]:3000", credentials: true }],
  [{ origin: "http://*.localhost:*", credentials: true }],
  [{ origin: "http://a.example", credentials: true, allowInsecureOrigins: true }],
  [{ origin: "https://*.a.example", credentials: true }],
  [{ origin: "https://*.com" }],
  [{ origin: "capacitor://localhost" }],
  [{ origin: "chrome-extension://abcdefghijklmnop" }],
  [{ origin: /^(?:https:\/\/a|https:\/\/b)$/ }],
  [{ origin: (origin: string) => origin === A }],
  [{ origin: async (_origin: string, req: { path: string }) => req.path === "/" }],
  [{ methods: "GET, put", allowedHeaders: "X-A,x-b", exposedHeaders: [] }],
  [{ methods: undefined, maxAge: undefined, credentials: undefined, explain: undefined }],
])("%p is fine", (options) => {
  expect(() => cors(options as never)).not.toThrow();
});

it("a * in a list allows everything, whatever else is listed", async () => {
  const made = app({
    origin: [A, "*"],
    methods: ["PUT", "*"],
    allowedHeaders: ["X-A", "*"],
    exposedHeaders: ["ETag", "*"],
  });
  const asked = { ...PREFLIGHT, Origin: B, "Access-Control-Request-Headers": "x-z" };
  const preflight = await request(made).options("/").set(asked).expect(200);
  expect(granted(preflight.headers)).toEqual({
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "*",
    "access-control-allow-headers": "*",
    "access-control-expose-headers": "*",
  });
  expect((await request(made).get("/").set("Origin", B)).headers).not.toHaveProperty("vary");
});

describe("changed after the handler was made, the options change nothing:", () => {
  const ask = async (made: ReturnType<typeof app>) => {
    const asked = { ...PREFLIGHT, "Access-Control-Request-Headers": "x-a" };
    const allowed = await request(made).options("/").set(asked);
    const refused = await request(made)
      .options("/")
      .set({ ...asked, Origin: B });
    return [allowed.status, granted(allowed.headers), refused.status, refused.text];
  };

  it("the object and its lists", async () => {
    const options = {
      origin: [A] as string | string[],
      methods: ["PUT"],
      allowedHeaders: ["X-A"],
      exposedHeaders: ["ETag"],
      credentials: false,
      maxAge: 5,
      optionsSuccessStatus: 200,
      explain: false,
    };
    const { origin, methods, allowedHeaders, exposedHeaders } = options;
    const made = app(options);
    const before = await ask(made);
    expect(before).toMatchObject([200, { "access-control-allow-headers": "X-A" }, 403, ""]);
    for (const list of [methods, allowedHeaders, exposedHeaders]) list.splice(0, 1, "X-Other");
    (origin as string[]).splice(0, 1, B);
    Object.assign(options, { origin: "*", methods: [], allowedHeaders: [], exposedHeaders: [] });
    Object.assign(options, { credentials: true, maxAge: 6, optionsSuccessStatus: 201, explain: true });
    expect(await ask(made)).toEqual(before);
  });

  it("a RegExp", async () => {
    const origin = /^https:\/\/a\.example$/;
    const made = app({ origin, explain: false });
    const before = await ask(made);
    expect(before).toMatchObject([204, { "access-control-allow-origin": A }, 403, ""]);
    origin.exec = () => null; // which RegExp.prototype.test would call
    origin.compile("^https://b\\.example$");
    expect(await ask(made)).toEqual(before);
  });
});

it("reports all problems together", () => {
  expect(refused({ origin: ["x", "y"], methods: "patch", maxAge: -1, nope: 1 }).problems).toHaveLength(5);
});

function refused(options: unknown): ConfigError {
  try {
    cors(options as never);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("was accepted");
}
