import express from "express";
import fc from "fast-check";
import request from "supertest";
import { type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { redactQuery, redactUrl, secretNames } from "../../src/request-log/redact.js";
import { cpuMs } from "../support/cpu.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { memoryStream } from "./memory.js";

afterEach(closeServers);

const SECRET = "s3cr3t";

const FORMATS: [string, RequestLogOptions][] = [
  [
    "json",
    { format: "json", headers: ["authorization", "Cookie", "x-api-key", "location", "referer", "x-a"] },
  ],
  ["ecs", { schema: "ecs" }],
  ["otel", { schema: "otel", headers: ["authorization", "proxy-authorization", "dpop"] }],
  ["dev", { format: "dev" }],
  ["combined", { format: "combined" }],
  [
    "tokens",
    {
      format:
        ":url :referrer :req[authorization] :req[Cookie] :req[x-api-key] :req[DPoP] :req[proxy-authorization] :req[referer] :res[set-cookie] :res[location]",
    },
  ],
];

const QUERIES: [string, string, string][] = [
  ["access_token", `a=1&access_token=${SECRET}&b=2`, "a=1&access_token=REDACTED&b=2"],
  [
    "what OAuth and OpenID Connect send",
    `id_token=${SECRET}&refresh_token=${SECRET}&client_secret=${SECRET}&jwt=${SECRET}&secret=${SECRET}&apikey=${SECRET}`,
    "id_token=REDACTED&refresh_token=REDACTED&client_secret=REDACTED&jwt=REDACTED&secret=REDACTED&apikey=REDACTED",
  ],
  ["a name in another case", `Password=${SECRET}`, "Password=REDACTED"],
  ["a percent-encoded name", `%61ccess%5Ftoken=${SECRET}`, "%61ccess%5Ftoken=REDACTED"],
  [
    "a malformed escape beside it",
    `%=1&a=%zz&t%6fken=${SECRET}&%E0%A4%A=1`,
    "%=1&a=%zz&t%6fken=REDACTED&%E0%A4%A=1",
  ],
  ["a malformed escape in it", `%E0[token]=${SECRET}`, "%E0[token]=REDACTED"],
  ["a nested name", `user[password]=${SECRET}&token[]=${SECRET}`, "user[password]=REDACTED&token[]=REDACTED"],
  ["a value with more equal signs", `code=${SECRET}==&x`, "code=REDACTED&x"],
  ["a value with a question mark", `token=a?${SECRET}`, "token=REDACTED"],
  ["a second question mark", `a=1?token=${SECRET}`, "a=1?token=REDACTED"],
  [
    "a presigned link",
    `X-Amz-Signature=${SECRET}&X-Goog-Signature=${SECRET}&sig=${SECRET}`,
    "X-Amz-Signature=REDACTED&X-Goog-Signature=REDACTED&sig=REDACTED",
  ],
  ["a name of one's own", `SESSION=${SECRET}`, "SESSION=REDACTED"],
  ["an empty value", "token=&a", "token=REDACTED&a"],
];

describe("secrets", () => {
  it.each(QUERIES)("%s: the value is replaced, names and order stay", (_what, query, expected) => {
    expect(redactQuery(query, secretNames(["session"]))).toBe(expected);
  });

  describe.each(FORMATS)("in %s", (_name, options) => {
    it.each(QUERIES)("%s does not get into a line, nor from the referrer", async (_what, query) => {
      const stream = memoryStream();
      const app = express();
      app.use(requestLog({ stream, redact: { query: ["session"] }, ...options }));
      app.use((_req, res) => {
        res.setHeader("Set-Cookie", `id=${SECRET}`);
        res.setHeader("Location", `/next?${query}`);
        res.setHeader("Connection", "close");
        res.send("x");
      });
      const { port } = await listen(app);
      const head = [
        `GET /hello?${query} HTTP/1.1`,
        "Host: a",
        `Referer: https://u:${SECRET}@a.example/b?${query}#token=${SECRET}`,
        ...["Authorization: Bearer", "Proxy-Authorization: Basic", "Cookie: a=", "X-Api-Key:", "DPoP:"].map(
          (start) => `${start} ${SECRET}`,
        ),
      ];
      await raw(port, `${head.join("\r\n")}\r\n\r\n`);
      await until(() => stream.lines.length > 0);
      expect(stream.lines[0]).toContain("/hello");
      expect(stream.lines[0]).not.toContain(SECRET);
    });

    it.each([
      `/hello#token=${SECRET}`,
      `/hello?a=1#access_token=${SECRET}&b`,
      `/hello#${SECRET}?token=${SECRET}`,
      `http://a/hello#token=${SECRET}`,
    ])("the fragment of the target %s does not get into a line, nor that of a referrer", async (target) => {
      const stream = memoryStream();
      const app = express();
      app.use(requestLog({ stream, ...options }));
      app.use((_req, res) => void res.set("Connection", "close").send("x"));
      const { port } = await listen(app);
      await raw(
        port,
        `GET ${target} HTTP/1.1\r\nHost: a\r\nReferer: https://a.example/b#token=${SECRET}\r\n\r\n`,
      );
      await until(() => stream.lines.length > 0);
      expect(stream.lines[0]).toContain("/hello");
      expect(stream.lines[0]).not.toContain(SECRET);
    });
  });

  it("headers are logged by their names only, secret ones never", async () => {
    const stream = memoryStream();
    const app = express();
    app.use(requestLog({ stream, headers: "X-A, Authorization, x-none" }));
    await request(app).get("/").set("X-A", "1").set("X-B", "2").set("Authorization", SECRET);
    expect(stream.entries[0]!.headers).toEqual({ "x-a": "1", authorization: "REDACTED" });
  });

  it("in a path are redacted by redact.path, for the request, the target of text formats and the referrer", async () => {
    const stream = memoryStream();
    const app = express();
    const path = (text: string) => text.replace(/\/reset\/[^/]+/, "/reset/:key");
    const redact = { path };
    app.use(requestLog({ stream, redact }), requestLog({ stream, redact, format: ":url :referrer" }));
    await request(app).get(`/reset/${SECRET}?a=1`).set("Referer", `http://h/reset/${SECRET}/x?token=1`);
    expect(stream.lines[0]).toBe("/reset/:key?a=1 http://h/reset/:key/x?token=REDACTED");
    expect(stream.lines[1]).not.toContain(SECRET);
  });

  it.each([
    () => {
      throw new Error("x");
    },
    () => undefined,
    async () => "/x",
  ])("if redact.path fails, nothing of the path is logged, and the fault is reported once", async (path) => {
    const told = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      const stream = memoryStream();
      const app = express();
      app.use(requestLog({ stream, redact: { path: path as never } }));
      await request(app).get(`/reset/${SECRET}`);
      await request(app).get(`/reset/${SECRET}`);
      expect(stream.entries.map((entry) => entry.path)).toEqual(["/REDACTED", "/REDACTED"]);
      expect(told.mock.calls.filter(([text]) => String(text).includes("redact.path"))).toHaveLength(1);
    } finally {
      told.mockRestore();
    }
  });

  it("userinfo is removed from any URL", () => {
    const names = secretNames();
    expect(redactUrl("http://u:p@h/x", names)).toBe("http://h/x");
    expect(redactUrl("http://u:p@q@h", names)).toBe("http://h");
    expect(redactUrl("//u:p@h/a@b", names)).toBe("//h/a@b");
    expect(redactUrl("/a@b//c@d", names)).toBe("/a@b//d");
    expect(redactUrl("about:blank", names)).toBe("about:blank");
  });

  it("are replaced in linear time", () => {
    const names = secretNames();
    const started = cpuMs();
    for (const part of ["a", "a=", "?a=", "&", "%61", "[", "token=?", "@", "//", "#"]) {
      redactUrl(`http://h/?x=1&${part.repeat(50_000)}`, names);
    }
    expect(cpuMs() - started).toBeLessThan(1_000);
  });

  it("never throws, and keeps every name and its order", () => {
    const names = secretNames();
    const keys = (query: string) => query.split("&").map((pair) => pair.split("=", 1)[0]);
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."ab%2&=?[]token+code5F#".split("")) }), (query) => {
        expect(() => redactUrl(query, names)).not.toThrow();
        if (/[?#]/.test(query)) return;
        expect(keys(redactQuery(query, names))).toEqual(keys(query));
      }),
    );
  });

  it("the value of a secret name is always replaced, however the name is encoded (a naive decoder agrees)", () => {
    const names = secretNames();
    const encode = (name: string, mask: boolean[]) =>
      [...name].map((c, i) => (mask[i] ? `%${c.charCodeAt(0).toString(16)}` : c)).join("");
    fc.assert(
      fc.property(
        fc.constantFrom("token", "code", "api_key", "Signature"),
        fc.array(fc.boolean(), { minLength: 9, maxLength: 9 }),
        fc.array(fc.tuple(fc.stringMatching(/^[a-c]{1,3}$/), fc.stringMatching(/^[a-z%]{0,4}$/))),
        (name, mask, others) => {
          const pairs = others.map(([key, value]) => `${key}=${value}`);
          const query = [...pairs, `${encode(name, mask)}=${SECRET}`, ...pairs].join("&");
          const redacted = redactQuery(query, names);
          expect(redacted).not.toContain(SECRET);
          expect(new URLSearchParams(redacted).get(name)).toBe("REDACTED");
          expect(redacted.split("&").filter((pair) => !pair.endsWith("REDACTED"))).toEqual([
            ...pairs,
            ...pairs,
          ]);
        },
      ),
    );
  });
});
