import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { inspect } from "node:util";
import vm from "node:vm";
import type { ErrorRequestHandler } from "express";
import { cache, redisStore } from "../../../src/cache/index.js";
import { cors } from "../../../src/cors/index.js";
import * as everything from "../../../src/index.js";
import { jwt } from "../../../src/jwt/index.js";
import { Checker, isBag } from "../../../src/lib/config/checker.js";
import {
  CONFIG_ERROR_CODES,
  ConfigError,
  HIDDEN,
  pageOf,
  show,
} from "../../../src/lib/config/config-error.js";
import { didYouMean } from "../../../src/lib/config/did-you-mean.js";
import { offload } from "../../../src/offload/index.js";
import { securityHeaders } from "../../../src/security-headers/index.js";
import { timeout } from "../../../src/timeout/index.js";
import { expressVersions } from "../../support/express.js";
import { root } from "../../support/markdown.js";

describe("the checker", () => {
  describe("a ConfigError", () => {
    it("is a TypeError that says what, why and what instead, one line a problem", () => {
      const error = new ConfigError("cors()", [
        { option: "maxAge", value: -1, reason: "must be a whole number" },
        { option: "orgin", value: HIDDEN, reason: 'unknown option. Did you mean "origin"?' },
      ]);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.name).toBe("ConfigError");
      expect(error.message).toBe(
        [
          "express-portico: 2 problems with the options of cors():",
          "  - maxAge: received -1; must be a whole number",
          '  - orgin: unknown option. Did you mean "origin"?',
          "  See express-portico/docs/errors.md#err_portico_invalid_option",
        ].join("\n"),
      );
      expect(error.problems).toHaveLength(2);
    });

    it("shows a hidden value nowhere", () => {
      const checker = Checker.of("x()", { key: "s3cret" }, ["key"]);
      checker.addSecret("key", "is too short");
      expect(() => checker.done()).toThrow(ConfigError);
      try {
        checker.done();
      } catch (error) {
        expect(`${error} ${(error as Error).stack} ${JSON.stringify(error)}`).not.toContain("s3cret");
      }
    });
  });

  describe("a URL with a password in it", () => {
    const SECRET = "s3cret";
    const url = `https://admin:${SECRET}@a.example`;
    it.each<[string, () => unknown]>([
      ["cors's origin", () => cors({ origin: url })],
      ["cors's origins", () => cors({ origin: ["https://b.example", url] })],
      ["cors's origin with other faults", () => cors({ origin: `${url}/path?x=1`, credentials: true })],
      ["a password that has an @", () => cors({ origin: `https://admin:x@${SECRET}@a.example` })],
      ["a user name alone", () => cors({ origin: `https://${SECRET}@a.example` })],
      ["the cache's store", () => cache({ store: `redis://:${SECRET}@redis:6379` as never })],
      ["the cache's hosts", () => cache({ hosts: [url] })],
      ["a store's client", () => redisStore({ client: `rediss://x:${SECRET}@redis:6379` as never })],
      [
        "a reporting endpoint",
        () => securityHeaders({ reportingEndpoints: { main: `http://x:${SECRET}@a` } }),
      ],
      [
        "a policy's source",
        () => securityHeaders({ contentSecurityPolicy: { directives: { imgSrc: [`${url} x`] } } }),
      ],
      ["a number's place", () => timeout({ ms: url as never })],
      ["an object in a value's place", () => timeout({ ms: { proxy: url } as never })],
      ["a key set", () => jwt({ jwks: `http://x:${SECRET}@a.example`, algorithms: ["ES256"] } as never)],
    ])("is shown nowhere in a ConfigError: %s", (_name, make) => {
      let thrown: unknown;
      try {
        make();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(ConfigError);
      expect(inspect(thrown, { depth: 9, showHidden: true })).not.toContain(SECRET);
      expect(JSON.stringify((thrown as ConfigError).problems)).not.toContain(SECRET);
    });

    it("leaves an address with an @ in its path, or none of a URL, as it was given", () => {
      const error = new ConfigError("x()", [
        { option: "a", value: "https://a.example/@scope/name", reason: "is wrong" },
        { option: "b", value: "me@a.example", reason: "is wrong" },
      ]);
      expect(error.message).toContain('received "https://a.example/@scope/name"');
      expect(error.message).toContain('received "me@a.example"');
    });
  });

  it.each<[unknown, string]>([
    ["a\nb", '"a\\nb"'],
    [undefined, "undefined"],
    [null, "null"],
    [Number.NaN, "NaN"],
    [5n, "5n"],
    [/a.b/g, "/a.b/g"],
    [Symbol("s"), "Symbol(s)"],
    [{ a: 1 }, '{"a":1}'],
    [() => 1, "a function"],
    [function named() {}, "the function named"],
    [[1, "x"], '[1,"x"]'],
  ])("show(%p) is %s", (value, shown) => {
    expect(show(value)).toBe(shown);
  });

  it("show is short, on one line, and never throws", () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    expect(show(cycle)).toBe("an object");
    expect(show("x".repeat(1000))).toHaveLength(80);
    expect(show({ a: "line\nbreak" })).not.toContain("\n");
  });

  it.each<[string, string[], string | undefined]>([
    ["orgin", ["origin", "methods"], "origin"],
    ["maxage", ["maxAge"], "maxAge"],
    ["max-age", ["maxAge"], "maxAge"],
    ["includeSubdomains", ["includeSubDomains"], "includeSubDomains"],
    ["permisionsPolicy", ["permissionsPolicy", "referrerPolicy"], "permissionsPolicy"],
    ["linger", ["logger", "lingerMs"], "lingerMs"],
    ["max", ["maxAge", "methods"], "maxAge"],
    ["hte", ["the"], "the"],
    ["completely", ["different"], undefined],
    ["", ["a"], undefined],
    ["x".repeat(10_000), ["origin"], undefined],
  ])("the nearest to %.20s among %j is %s", (name, known, expected) => {
    expect(didYouMean(name, known)).toBe(expected);
  });

  it.each<[unknown, boolean]>([
    [{}, true],
    [Object.create(null), true],
    [vm.runInNewContext("({})"), true],
    [[], false],
    [null, false],
    [new Map(), false],
    [/x/, false],
    [() => {}, false],
    ["x", false],
    [new Date(), false],
  ])("isBag(%p) is %p", (value, expected) => {
    expect(isBag(value)).toBe(expected);
  });
});

describe("codes", () => {
  const page = readFileSync(join(root, "docs/errors.md"), "utf8");
  const sections = page.split(/^## /m).slice(1);

  describe("docs/errors.md", () => {
    it("has a section for each code, in their order, and no other", () => {
      expect(sections.map((section) => section.split("\n")[0])).toEqual([...CONFIG_ERROR_CODES]);
    });

    it.each([...CONFIG_ERROR_CODES])("says the cause and the remedy of %s", (code) => {
      const section = sections.find((one) => one.startsWith(`${code}\n`))!;
      expect(section).toMatch(/\n\n[A-Z][\s\S]+\n\nRemedy: /);
    });
  });

  it.each([...CONFIG_ERROR_CODES])("the message of a %s ends with the anchor of its section", (code) => {
    const { message } = new ConfigError("x()", [{ option: "a", value: 1, reason: "is wrong", code }]);
    const [, file, anchor] = /express-portico\/(docs\/errors\.md)#([\w-]+)$/.exec(message)!;
    expect(pageOf(code)).toBe(`express-portico/${file}#${anchor}`);
    expect(file).toBe("docs/errors.md");
    // As GitHub makes an anchor of a heading: lower case, what is no letter, digit, underscore or hyphen left out.
    const anchors = sections.map((section) =>
      section
        .split("\n")[0]!
        .toLowerCase()
        .replace(/[^\w-]/g, ""),
    );
    expect(anchors).toContain(anchor);
  });

  it("a message with problems of several kinds has the address of each, once", () => {
    const { message, problems } = new ConfigError("x()", [
      { option: "a", value: 1, reason: "is wrong" },
      { option: "b", value: 1, reason: "is wrong too" },
      { option: "c", value: 1, reason: "is none", code: "ERR_PORTICO_UNKNOWN_OPTION" },
    ]);
    expect(message.match(/docs\/errors\.md#\w+$/gm)).toEqual([
      "docs/errors.md#err_portico_invalid_option",
      "docs/errors.md#err_portico_unknown_option",
    ]);
    expect(problems.map(({ code }) => code)).toEqual([
      "ERR_PORTICO_INVALID_OPTION",
      "ERR_PORTICO_INVALID_OPTION",
      "ERR_PORTICO_UNKNOWN_OPTION",
    ]);
  });
});

describe("factories that are not called", () => {
  /** What is no factory of a handler: it is called with something else, or has nothing to hand to `app.use`. */
  const OTHERS = new Set([
    "AbortRequest",
    "ConfigError",
    "checkPipeline",
    "describePipeline",
    "isCompressible",
  ]);

  /** What only reads: it makes no handler, so that the remedy is another one. */
  const readers = new Set(["contextOf", "currentContext"]);

  const factories = Object.entries({
    ...everything,
    jwt,
    offload,
    "recover.wrap": everything.recover.wrap,
  }).filter(([name, value]) => typeof value === "function" && !OTHERS.has(name)) as [
    string,
    (...given: never[]) => unknown,
  ][];

  describe.each(expressVersions)("%s", (_version, express) => {
    it.each(
      factories,
    )("app.use(%s) without the call is an error of each request, which names it", async (name, factory) => {
      const app = express();
      app.use(factory as never);
      const seen: unknown[] = [];
      app.use(((error, _req, res, _next) => {
        seen.push(error);
        res.status(500).end();
      }) as ErrorRequestHandler);
      const server = app.listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      const { port } = server.address() as AddressInfo;
      try {
        for (let i = 0; i < 2; i++) {
          const { status } = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) });
          expect(status).toBe(500);
        }
      } finally {
        server.closeAllConnections();
        server.close();
      }
      expect(seen).toEqual([expect.any(ConfigError), expect.any(ConfigError)]);
      const { message, problems } = seen[0] as ConfigError;
      expect(problems.map(({ option, code }) => ({ option, code }))).toEqual([
        { option: name, code: "ERR_PORTICO_NOT_CALLED" },
      ]);
      expect(message).toContain(`app.use(${name}${readers.has(name) ? ")" : "())"}`);
      expect(message).not.toContain("authorization"); // nothing of the request is printed
    });
  });
});
