import corsPackage from "cors";
import express from "express";
import fc from "fast-check";
import request from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { closeServers, listen, type TestServer } from "../support/server.js";
import {
  type Ask,
  corsCheck,
  needsPreflight,
  preflightPasses,
  sendActual,
  sendPreflight,
} from "./browser.js";
import { granted } from "./support.js";

afterEach(closeServers);

type Origins = readonly [ours: CorsOptions["origin"], theirs: corsPackage.CorsOptions["origin"]];

const LIST = ["https://a.com", "https://x.b.com"];
const REGEXP = /^https:\/\/(?:a|[xy]\.b)\.com$/;
const callback: corsPackage.CorsOptions["origin"] = (origin, done) => done(null, LIST.includes(origin!));

/** One rule, as it is written for us and for the cors package. */
const origins: Readonly<Record<string, Origins>> = {
  "an origin": ["https://a.com", "https://a.com"],
  "a list": [LIST, LIST],
  "a RegExp": [REGEXP, REGEXP],
  "a list with a RegExp": [
    ["https://a.com", REGEXP],
    ["https://a.com", REGEXP],
  ],
  "a function": [(origin) => LIST.includes(origin), callback],
  "a promise": [async (origin) => LIST.includes(origin), callback],
  "*": ["*", "*"],
};

const asked: fc.Arbitrary<Ask> = fc.record({
  origin: fc.constantFrom("https://a.com", "https://a.com", "https://x.b.com", "https://evil.com", "null"),
  method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PURGE", "patch"),
  headers: fc
    .uniqueArray(fc.constantFrom("x-a", "x-b", "authorization", "content-type"), { maxLength: 3 })
    .map((list) => list.sort()),
  withCredentials: fc.boolean(),
});

/**
 * Options that both know, written as both send them. Ours alone rewrites others: it leaves out spaces around the commas
 * of a string, duplicates, and what stands beside a `*`, and sends in upper case the methods that browsers do.
 */
const shared = fc
  .record(
    {
      methods: fc.constantFrom<string | string[]>(["PUT"], ["GET", "PUT", "DELETE"], "PUT,PURGE", [], "*"),
      allowedHeaders: fc.constantFrom<string | string[]>(["X-A", "authorization"], "x-b,X-A", [], "*"),
      exposedHeaders: fc.constantFrom<string | string[]>(["ETag"], ["X-A", "X-B"], "ETag,X-B", [], "*"),
      credentials: fc.boolean(),
      maxAge: fc.constantFrom(0, 600),
    },
    { requiredKeys: [] },
  )
  // With credentials `*` is an ordinary name for browsers (Fetch, section 3.3.5). Theirs sends it, which allows
  // nothing; ours refuses it in exposedHeaders, and otherwise sends the requested names.
  .filter(({ credentials, ...lists }) => credentials !== true || !Object.values(lists).includes("*"));

function appWith(handler: express.RequestHandler) {
  const made = express();
  made.use(handler);
  made.use((_req, res) => void res.send("x"));
  return made;
}

const namesIn = (list: string | undefined) => (list ?? "").split(", ").filter(Boolean);

describe("for every request that both allow, the headers are those of the cors package, byte for byte:", () => {
  it.each(Object.entries(origins))("%s", async (name, [ours, theirs]) => {
    const compared = { preflights: 0, answers: 0 };
    await fc.assert(
      fc.asyncProperty(shared, fc.array(asked, { minLength: 4, maxLength: 8 }), async (options, asks) => {
        fc.pre(!(name === "*" && options.credentials));
        const servers = await Promise.all([
          listen(appWith(cors({ ...options, origin: ours }))),
          listen(appWith(corsPackage({ ...options, origin: theirs }))),
        ]);
        const both = <T>(send: (server: TestServer, ask: Ask) => Promise<T>, ask: Ask) =>
          Promise.all([send(servers[0], ask), send(servers[1], ask)]);
        try {
          for (const ask of asks) {
            if (needsPreflight(ask)) {
              const answers = await both(sendPreflight, ask);
              if (!answers.every(({ status, headers }) => preflightPasses(ask, status, headers))) continue;
              const [our, their] = answers.map(({ headers }) => headers) as [Headers, Headers];
              expect([ask, granted(our)]).toEqual([ask, granted(their)]);
              // Ours says all that the answer depends on, theirs a part: a preflight that is refused for its method
              // or header, with nothing granted, must not be answered from a cache with this one.
              expect(namesIn(our.vary)).toEqual(expect.arrayContaining(namesIn(their.vary)));
              compared.preflights++;
            }
            if (ask.method === "patch") continue; // which Node's parser does not know
            const answers = await both(sendActual, ask);
            if (!answers.every(({ headers }) => corsCheck(ask, headers))) continue;
            const [our, their] = answers.map(({ headers }) => headers) as [Headers, Headers];
            expect([ask, granted(our), our.vary]).toEqual([ask, granted(their), their.vary]);
            compared.answers++;
          }
        } finally {
          await Promise.all(servers.map((server) => server.close()));
        }
      }),
      { numRuns: 100 },
    );
    expect(Math.min(compared.preflights, compared.answers)).toBeGreaterThan(5);
  });
});

describe("cors() without options is another recipe, and differs in what the page says", () => {
  const preflight = (handler: express.RequestHandler, asked?: string) =>
    request(appWith(handler))
      .options("/")
      .set({ Origin: "https://a.com", "Access-Control-Request-Method": "PUT" })
      .set(asked === undefined ? {} : { "Access-Control-Request-Headers": asked });
  const told = ({ status, headers }: { status: number; headers: Record<string, string> }) => ({
    status,
    length: headers["content-length"],
    vary: headers.vary,
    ...granted(headers),
  });

  it.each([undefined, "x-a", "authorization,x-a"])("a preflight that asks for %s", async (asked) => {
    expect(told(await preflight(cors(), asked))).toEqual({
      status: 200,
      length: "0",
      vary: "Access-Control-Request-Headers",
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, POST, OPTIONS, PUT, DELETE, HEAD, PATCH",
      "access-control-allow-headers": asked?.startsWith("authorization") ? "*, Authorization" : "*",
    });
    expect(told(await preflight(corsPackage(), asked))).toEqual({
      status: 204,
      length: "0",
      vary: "Access-Control-Request-Headers",
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
      ...(asked === undefined ? {} : { "access-control-allow-headers": asked }),
    });
    const { vary: _vary, length: _length, ...same } = told(await preflight(corsPackage(), asked));
    expect(told(await preflight(cors({ origin: "*", optionsSuccessStatus: 204 }), asked))).toMatchObject(
      same,
    );
  });

  it("any other request is answered alike", async () => {
    for (const method of ["get", "put", "post"] as const) {
      const [our, their] = await Promise.all(
        [cors(), corsPackage()].map((handler) =>
          request(appWith(handler))[method]("/").set("Origin", "https://a.com"),
        ),
      );
      expect([our!.status, our!.headers.vary, granted(our!.headers)]).toEqual([
        their!.status,
        their!.headers.vary,
        granted(their!.headers),
      ]);
    }
  });
});

type Headers = Awaited<ReturnType<typeof sendPreflight>>["headers"];
