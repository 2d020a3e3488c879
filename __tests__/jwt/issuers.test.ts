import { generateKeyPairSync } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import express from "express";
import fc from "fast-check";
import request from "supertest";
import { authenticate, bearer, recover, requestLog } from "../../src/index.js";
import { type JwtOptions, jwt } from "../../src/jwt/index.js";
import { hasDuplicates, readToken } from "../../src/jwt/token.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen } from "../support/server.js";
import { casesOf, SOAK } from "../support/soak.js";
import { AUDIENCE, appWith, b64, claims, good, pairs, send, silent, token } from "./support.js";

describe("issuers", () => {
  const ec = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keys = { a: ec(), b: ec() };
  type Name = keyof typeof keys;

  const signed = (iss: unknown, key: ReturnType<typeof ec> = keys.a, header: object = {}) =>
    token({ alg: "ES256", ...header }, claims({ iss }), key.privateKey);
  const base = { audience: AUDIENCE, algorithms: ["ES256"] as const };
  let runs = 0;

  /** A server with the key sets of two tenants, each under its path; it records the requests. */
  async function tenants() {
    const asked: string[] = [];
    const run = ++runs; // key sets are known by their URL, and a port may be given out twice
    const server = await listen((req, res) => {
      const [, , name] = req.url!.split("/");
      asked.push(name!);
      const pair = keys[name as Name];
      if (pair === undefined) res.writeHead(404).end();
      else res.end(JSON.stringify({ keys: [pair.publicKey.export({ format: "jwk" })] }));
    });
    const issuerOf = (name: string) => `https://${name}.auth.example`;
    const urlOf = (iss: string) => `${server.url}/${run}/${/^https:\/\/([^.]*)/.exec(iss)?.[1]}/jwks.json`;
    return { asked, issuerOf, urlOf, server };
  }

  afterEach(closeServers);

  describe("an issuer function", () => {
    it("decides about tenants, and jwks returns the URL of their keys", async () => {
      const { asked, issuerOf, urlOf } = await tenants();
      const issuer = (iss: string) => iss === issuerOf("a") || iss === issuerOf("b");
      const scheme = jwt({ ...base, issuer, jwks: urlOf });
      await send(scheme, signed(issuerOf("a"), keys.a)).expect(200);
      await send(scheme, signed(issuerOf("b"), keys.b)).expect(200);
      await send(scheme, signed(issuerOf("a"), keys.a)).expect(200);
      expect(asked).toEqual(["a", "b"]);
    });

    it("a tenant's key is not accepted for another tenant's token", async () => {
      const { issuerOf, urlOf } = await tenants();
      const scheme = jwt({ ...base, issuer: () => true, jwks: urlOf });
      await send(scheme, signed(issuerOf("a"), keys.a)).expect(200); // both sets are known
      await send(scheme, signed(issuerOf("b"), keys.b)).expect(200);
      await send(scheme, signed(issuerOf("b"), keys.a)).expect(401);
      await send(scheme, signed(issuerOf("a"), keys.b)).expect(401);
      await send(scheme, signed(issuerOf("a"), keys.b, { kid: "of b" })).expect(401);
    });

    it("may be asynchronous", async () => {
      const { issuerOf, urlOf } = await tenants();
      const issuer = async (iss: string) => {
        await setImmediate();
        return iss === issuerOf("a");
      };
      const scheme = jwt({ ...base, issuer, jwks: urlOf });
      await send(scheme, signed(issuerOf("a"))).expect(200);
      await send(scheme, signed(issuerOf("b"), keys.b)).expect(401);
    });

    it.each<[string, unknown]>([
      ["1", 1],
      ["a text", "true"],
      ["an object", { valid: true }],
      ["a list", [true]],
      ["a Boolean object", Object(true)],
      ["false", false],
      ["null", null],
      ["nothing", undefined],
      ["a promise of 1", Promise.resolve(1)],
      ["a promise of nothing", Promise.resolve()],
      // biome-ignore lint/suspicious/noThenProperty: what some libraries return
      ["a thenable of an object", { then: (f: (v: unknown) => void) => f({}) }],
    ])("that returns %s lets nobody in, and jwks is not called", async (_what, told) => {
      const jwks = jest.fn(() => "https://issuer.example/jwks.json");
      const scheme = jwt({ ...base, issuer: () => told as boolean, jwks });
      await send(scheme, signed("https://a.auth.example")).expect(401);
      expect(jwks).not.toHaveBeenCalled();
    });

    it.each<[string, () => boolean | Promise<boolean>]>([
      [
        "throws an error",
        () => {
          throw new Error("the database is down");
        },
      ],
      ["throws nothing", () => throwIt(undefined)],
      ["throws what Express takes for 'go on'", () => throwIt("route")],
      ["rejects", () => Promise.reject(new Error("the database is down"))],
      ["rejects with nothing", () => Promise.reject()],
      ["rejects with 'router'", () => Promise.reject("router")],
      [
        "has a then that throws",
        () =>
          ({
            // biome-ignore lint/suspicious/noThenProperty: it is what must be borne
            then() {
              throw new Error("no");
            },
          }) as never,
      ],
    ])("that %s is an error for the error handler, and lets nobody in", async (_what, issuer) => {
      const jwks = jest.fn(() => "https://issuer.example/jwks.json");
      const handler = jest.fn();
      const app = express();
      app.use(authenticate(jwt({ ...base, issuer, jwks })), handler);
      app.use(recover({ logger: silent }));
      const bearer = `Bearer ${signed("https://a.auth.example")}`;
      await request(app).get("/").set("Authorization", bearer).expect(500);
      await request(app).get("/").set("Authorization", bearer).expect(500); // the process lives
      expect(handler).not.toHaveBeenCalled();
      expect(jwks).not.toHaveBeenCalled();
    });

    it("that never settles for one tenant delays no other, and no key set is fetched", async () => {
      const { asked, issuerOf, urlOf } = await tenants();
      const issuer = (iss: string) => (iss === issuerOf("b") ? new Promise<boolean>(() => {}) : true);
      const app = await listen(appWith(authenticate(jwt({ ...base, issuer, jwks: urlOf }))));
      const get = (text: string, signal?: AbortSignal) =>
        fetch(app.url, { headers: { authorization: `Bearer ${text}` }, ...(signal && { signal }) });
      const patience = new AbortController();
      const waiting = get(signed(issuerOf("b"), keys.b), patience.signal);
      expect((await get(signed(issuerOf("a")))).status).toBe(200);
      patience.abort();
      await expect(waiting).rejects.toThrow(/abort/);
      expect((await get(signed(issuerOf("a")))).status).toBe(200);
      expect(asked).toEqual(["a"]);
    });

    it("is called with iss only, and not for tokens that are refused anyway", async () => {
      const issuer = jest.fn(() => false);
      const scheme = jwt({ ...base, issuer, jwks: "https://issuer.example/jwks.json" });
      for (const iss of [undefined, null, 5, {}, ["https://a.example"], "", true]) {
        await send(scheme, signed(iss)).expect(401);
      }
      await send(scheme, token({ alg: "none" }, claims(), Buffer.alloc(0), "HS256")).expect(401);
      await send(scheme, good("RS256")).expect(401);
      expect(issuer).not.toHaveBeenCalled();
      await send(scheme, signed("https://ümlaut.example/%2e\u0000\ud800"));
      expect(issuer.mock.calls).toEqual([["https://ümlaut.example/%2e\u0000\ud800"]]);
    });

    it("compares Unicode exactly: names that look alike are different", async () => {
      const { asked, urlOf } = await tenants();
      const known = "https://a\u00e4.example"; // ä as one character
      const scheme = jwt({ ...base, issuer: (iss) => iss === known, jwks: urlOf });
      for (const iss of [
        "https://aa\u0308.example",
        "https://xn--a-zfa.example",
        `${known}/`,
        known.toUpperCase(),
      ]) {
        await send(scheme, signed(iss)).expect(401);
      }
      expect(asked).toEqual([]);
    });

    it("leaves the tokens of other issuers to the schemes after it", async () => {
      const { issuerOf, urlOf } = await tenants();
      const scheme = jwt({ ...base, issuer: (iss) => iss === issuerOf("a"), jwks: urlOf });
      const other = jwt({ ...base, issuer: "https://other.example", key: pairs.ES256.publicKey });
      const opaque = bearer({ verify: (text) => text === "opaque" });
      await send([scheme, other], good("ES256", { iss: "https://other.example" })).expect(200);
      await send([scheme, opaque], "opaque").expect(200);
      await send([scheme, other], good("ES256", { iss: "https://nobody.example" })).expect(401);
    });

    it("works with one key, one key set, or a list of issuers with a key set each", async () => {
      const { issuerOf, urlOf, asked } = await tenants();
      const issuer = (iss: string) => iss.endsWith(".auth.example");
      await send(jwt({ ...base, issuer, key: keys.a.publicKey }), signed(issuerOf("x"))).expect(200);
      await send(jwt({ ...base, issuer, jwks: urlOf(issuerOf("a")) }), signed(issuerOf("x"))).expect(200);
      const listed = jwt({ ...base, issuer: [issuerOf("a"), issuerOf("b")], jwks: urlOf });
      await send(listed, signed(issuerOf("b"), keys.b)).expect(200);
      await send(listed, signed(issuerOf("b"), keys.a)).expect(401);
      await send(listed, signed(issuerOf("c"), keys.a)).expect(401);
      expect(asked).toEqual(["a", "b"]);
    });
  });

  describe("jwks as a function", () => {
    it.each<[string, (iss: string) => unknown]>([
      ["http beyond loopback", () => "http://keys.example/jwks.json"],
      ["the metadata service of a cloud", () => "http://169.254.169.254/latest/meta-data/"],
      ["a file", () => "file:///etc/passwd"],
      ["a data: URL", () => 'data:application/json,{"keys":[]}'],
      ["a password", () => "https://user:s3cret@issuer.example/"],
      ["the text of iss, which is no URL", (iss) => iss],
      ["nothing", () => undefined],
      ["a promise", async () => "https://issuer.example/jwks.json"],
      ["a promise that is rejected", async () => throwIt(new Error("no such tenant"))],
      ["an object", () => ({ keys: [] })],
      ["an error", () => throwIt(new Error("no such tenant"))],
      ["undefined, thrown", () => throwIt(undefined)],
    ])("that gives %s is an error for the error handler, and nothing is fetched", async (_what, jwks) => {
      const fetched = jest.spyOn(globalThis, "fetch");
      const scheme = jwt({ ...base, issuer: () => true, jwks: jwks as () => string });
      await send(scheme, signed("no url")).expect(500);
      expect(fetched).not.toHaveBeenCalled();
      fetched.mockRestore();
    });

    it("that returns a new URL each time causes a fetch each time, and tokens are still checked correctly", async () => {
      const { asked, issuerOf, urlOf } = await tenants();
      let calls = 0;
      const scheme = jwt({ ...base, issuer: () => true, jwks: (iss) => `${urlOf(iss)}?${++calls}` });
      for (let i = 0; i < 3; i++) await send(scheme, signed(issuerOf("a"))).expect(200);
      await send(scheme, signed(issuerOf("a"), keys.b)).expect(401);
      expect(asked).toHaveLength(4);
    });

    it("is 503 for an issuer whose keys cannot be fetched, and works for the others", async () => {
      const { issuerOf, urlOf } = await tenants();
      const scheme = jwt({ ...base, issuer: () => true, jwks: urlOf });
      await send(scheme, signed(issuerOf("unknown")))
        .expect(503)
        .expect("Retry-After", /^\d+$/);
      await send(scheme, signed(issuerOf("a"))).expect(200);
    });

    it("iss is short and on one line in error messages", async () => {
      const logger = memoryLogger();
      const app = express();
      app.use(authenticate(jwt({ ...base, issuer: () => true, jwks: () => "nowhere" })));
      app.use(recover({ logger }));
      const text = signed(`evil\r\nlevel=info ${"x".repeat(5_000)}`);
      await request(app).get("/").set("Authorization", `Bearer ${text}`).expect(500);
      const { message } = logger.entries[0]!.fields.error;
      expect(message).toMatch(/^jwt: what jwks returned for the issuer "evil\\r\\n[^\r\n]*…/);
      expect(message.length).toBeLessThan(250);
    });
  });

  /** Fetches are answered here, to see which sets stay in memory and which are fetched again. */
  describe("very many issuers", () => {
    const kept = pairs.ES256.publicKey.export({ format: "jwk" });
    const padding = "x".repeat(20_000);
    const body = JSON.stringify({ keys: [{ ...kept, kid: "1" }], padding });
    let fetched: string[];
    let respond: (url: string) => Response;

    beforeEach(() => {
      fetched = [];
      respond = () => new Response(body);
      jest.spyOn(globalThis, "fetch").mockImplementation(async (url) => {
        fetched.push(String(url));
        return respond(String(url));
      });
    });
    afterEach(() => void jest.restoreAllMocks());

    const run = ++runs;
    const scheme = jwt({ ...base, issuer: () => true, jwks: (iss) => `https://${iss}.example/${run}` });
    const ask = async (iss: string) => {
      const { kind } = await scheme.check({
        headers: { authorization: `Bearer ${good("ES256", { iss })}` },
        rawHeaders: ["Authorization", ""],
      } as never);
      return kind;
    };

    it("only the 100 key sets used last are kept", async () => {
      const issuers = SOAK ? 250 : 120; // the limit is 100
      for (let i = 0; i < issuers; i++) expect(await ask(`t${i}`)).toBe("passed");
      expect(fetched).toHaveLength(issuers);
      for (let i = issuers - 100; i < issuers; i++) expect(await ask(`t${i}`)).toBe("passed");
      expect(fetched).toHaveLength(issuers);
      await ask(`t${issuers - 101}`);
      expect(fetched).toHaveLength(issuers + 1);
    });

    it("issuers without keys do not push out the key sets of others", async () => {
      for (let i = 0; i < 99; i++) await ask(`good${i}`);
      const before = fetched.length;
      respond = () => new Response("", { status: 404 });
      const junk = SOAK ? 300 : 110;
      for (let i = 0; i < junk; i++) await expect(ask(`junk${i}`)).rejects.toThrow(/cannot be fetched/);
      expect(fetched).toHaveLength(before + junk);
      for (let i = 1; i < 99; i++) expect(await ask(`good${i}`)).toBe("passed");
      expect(fetched).toHaveLength(before + junk);
    });

    it("issuers with the same URL share a key set", async () => {
      const shared = jwt({ ...base, issuer: () => true, jwks: () => `https://common.example/${run}` });
      for (let i = 0; i < (SOAK ? 300 : 110); i++) {
        const text = good("ES256", { iss: `https://login.example/${i}` });
        const outcome = await shared.check({
          headers: { authorization: `Bearer ${text}` },
          rawHeaders: ["Authorization", ""],
        } as never);
        expect(outcome.kind).toBe("passed");
      }
      expect(fetched).toHaveLength(1);
    });
  });

  it("a token of an unknown issuer is logged as wrong-issuer", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(requestLog({ logger }));
    app.use(
      authenticate(
        jwt({ ...base, issuer: async () => false, jwks: () => "https://x.example" } as JwtOptions),
      ),
    );
    await request(app)
      .get("/")
      .set("Authorization", `Bearer ${signed("x")}`)
      .expect(401);
    expect(logger.entries[0]!.fields.refused).toEqual({ by: "auth", reason: "wrong-issuer" });
  });

  function throwIt(value: unknown): never {
    throw value;
  }
});

describe("tokens", () => {
  /** A naive check: parses the text again, with the names of each object as they are written. */
  function naive(text: string): boolean {
    let at = 0;
    let found = false;
    const space = () => {
      while (" \t\r\n".includes(text[at] ?? "x")) at++;
    };
    const string = (): string => {
      const start = at++;
      while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
      at++;
      return JSON.parse(text.slice(start, at)) as string;
    };
    const value = (): void => {
      space();
      if (text[at] === '"') string();
      else if (text[at] === "{" || text[at] === "[") {
        const isObject = text[at++] === "{";
        const names: string[] = [];
        for (space(); !"]}".includes(text[at]!); space()) {
          if (isObject) {
            names.push(string());
            space();
            at++;
          }
          value();
          space();
          if (text[at] === ",") at++;
          space();
        }
        at++;
        if (new Set(names).size < names.length) found = true;
      } else while (at < text.length && !" \t\r\n,]}".includes(text[at]!)) at++;
    };
    value();
    return found;
  }

  /** JSON texts with few names, so that duplicates are frequent, and with white space. */
  const { json } = fc.letrec<{ json: string; object: string; list: string; leaf: string }>((tie) => {
    const name = fc.constantFrom('"a"', '"b"', '"\\u0061"', '":"', '"\\""', '"\\\\"', '"__proto__"', '"{"');
    const space = fc.constantFrom("", " ", "\n\t");
    return {
      leaf: fc.constantFrom('"a:b"', '"\\":"', "1", "-1.5e3", "true", "null", '""', '"\\\\"', '"}{"'),
      object: fc
        .array(fc.tuple(name, space, tie("json"), space), { maxLength: 4 })
        .map(
          (members) =>
            `{${members.map(([key, s, inner, t]) => `${t}${key}${s}:${s}${inner}${t}`).join(",")}}`,
        ),
      list: fc.array(tie("json"), { maxLength: 3 }).map((items) => `[${items.join(" , ")}]`),
      json: fc.oneof({ maxDepth: 4, depthSize: "small" }, tie("leaf"), tie("object"), tie("list")),
    };
  });

  it("finds objects with duplicate members", () => {
    let twice = 0;
    fc.assert(
      fc.property(json, (text) => {
        const told = hasDuplicates(text);
        if (told) twice++;
        return told === naive(text);
      }),
      { numRuns: casesOf(5_000) },
    );
    expect(twice).toBeGreaterThan(casesOf(200));
  });

  it("finds duplicates that are written with escapes", () => {
    // Node 24 itself reads the second name of the first text as a backslash.
    for (const text of [
      '{"\\u0061":1,"\\u0061":2}',
      '{"a":1,"\\u0061":2}',
      '{"\\/":1,"/":2}',
      '{"a" :1,"a"\n:2}',
    ]) {
      expect([text, hasDuplicates(text)]).toEqual([text, true]);
    }
    for (const text of ['{"a":"a"}', '{"a":{"a":[{"a":1},{"a":1}]},"b":"\\"a\\":1"}', '["a","a"]', '"a"']) {
      expect([text, hasDuplicates(text)]).toEqual([text, false]);
    }
  });

  it("reads nothing that is not a token", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map(b64),
          fc.array(fc.string().map(b64)).map((parts) => parts.join(".")),
        ),
        (text) => {
          expect(readToken(text)).toBeUndefined();
        },
      ),
    );
  });

  it("reads a token", () => {
    const text = good("ES256", { list: [1, { a: null }] }, { kid: "1" });
    expect(readToken(text)).toEqual({
      text,
      header: { alg: "ES256", kid: "1" },
      claims: expect.objectContaining({ sub: "ann", list: [1, { a: null }] }),
      written: expect.stringMatching(/^\{"iss":.*\}$/),
    });
  });

  it("does not read more than 16 KiB", () => {
    const sized = (length: number) => good("ES256", { a: "x".repeat(length) });
    expect(readToken(sized(11_900))).toBeDefined();
    expect(readToken(sized(12_300))).toBeUndefined();
    expect(readToken(sized(10_000_000))).toBeUndefined();
  });

  it("keeps parsed headers, but only a limited number", () => {
    const claims = b64({ sub: "ann" });
    for (let i = 0; i < 250; i++) {
      for (let twice = 0; twice < 2; twice++) {
        expect(readToken(`${b64({ alg: "ES256", kid: String(i) })}.${claims}.AAAA`)?.header).toEqual({
          alg: "ES256",
          kid: String(i),
        });
      }
    }
  });
});
