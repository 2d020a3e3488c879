import http from "node:http";
import type { Express, Request, Response } from "express";
import fc from "fast-check";
import { compress } from "../../../src/compress/index.js";
import { requestContext } from "../../../src/context/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { expressServerOptions } from "../../../src/serve/express-server-options.js";
import { expressVersions } from "../../support/express.js";
import { closeServers, raw } from "../../support/server.js";
import { SOAK } from "../../support/soak.js";
import { anyText } from "../../support/text.js";

// `expressServerOptions` and `serve` replace `res.json` and `res.send` of the app: each response must have the same bytes as
// with Express's own methods.

type Handler = (req: Request, res: Response) => void;

const servers: http.Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  await closeServers();
});

/** One app as Express serves it and one as we do; what they are asked is decided before each request. */
async function pair(express: () => Express, set: (app: Express) => void = () => {}) {
  let handler: Handler = (_req, res) => void res.end();
  const ports: number[] = [];
  const apps: Express[] = [];
  for (const isFast of [false, true]) {
    const app = express();
    app.disable("x-powered-by");
    app.set("env", "test"); // the final handler logs nothing
    set(app);
    app.use((req, res) => handler(req, res));
    const server = http.createServer(isFast ? expressServerOptions(app) : {}, app);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ports.push((server.address() as { port: number }).port);
    apps.push(app);
  }
  const ask = async (next: Handler, head = "GET / HTTP/1.1\r\n", fields = "") => {
    handler = next;
    const request = `${head}Host: h\r\nConnection: close\r\n${fields}\r\n`;
    const texts: string[] = [];
    for (const port of ports)
      texts.push((await raw(port, request)).text.replace(/^Date: .*\r\n/m, "").replace(/at .*/g, ""));
    return { plain: texts[0]!, fast: texts[1]! };
  };
  return { ask, apps };
}

const statuses = [200, 201, 202, 203, 204, 205, 206, 304, 400, 404, 500, 503];
const texts = fc.oneof(
  fc.string(),
  anyText(),
  fc.constantFrom("", "é", "\ud800", "<p>hi</p>", "a".repeat(999), "a".repeat(1_000), "ü".repeat(600)),
  fc.constantFrom("x".repeat(40_000), "日".repeat(12_000)),
);
const bodies = fc.oneof(
  texts.map((body) => ({ call: "send", body }) as const),
  fc
    .oneof(
      fc.jsonValue(),
      texts,
      fc.constantFrom(undefined, Number.NaN, () => 1),
    )
    .map((body) => ({ call: "json", body }) as const),
  fc
    .oneof(fc.jsonValue(), fc.constantFrom(undefined, null, true))
    .map((body) => ({ call: "send", body }) as const),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => ({ call: "send", body: Buffer.from(bytes) }) as const),
);
const headers = fc.subarray([
  ["Content-Type", "text/plain"],
  ["Content-Type", "text/html; charset=utf-8"],
  ["Content-Type", "application/vnd.api+json"],
  ["Content-Type", "TEXT/CSV; Charset=UTF-8; header=present"],
  ["Content-Type", "application/problem+json; charset=utf-8"],
  ["Content-Type", "nonsense"],
  ["ETag", '"mine"'],
  ["ETag", ""],
  ["Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"],
  ["Transfer-Encoding", "chunked"],
  ["X-Latin", "caf\u00e9"],
] as const);
const requests = fc.record({
  method: fc.constantFrom("GET", "HEAD", "POST"),
  fields: fc.subarray([
    "If-None-Match: *\r\n",
    'If-None-Match: "mine", W/"5-x"\r\n',
    "If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
    "Cache-Control: no-cache\r\n",
  ]),
});
/** The settings that `res.json` and `res.send` read. */
const settings: Record<string, (app: Express) => void> = {
  "Express's own settings": () => {},
  "strong ETags": (app) => void app.set("etag", "strong"),
  "no ETag": (app) => void app.disable("etag"),
  "an ETag function": (app) => void app.set("etag", (body: unknown) => `"${String(body).length}"`),
  "json settings": (app) => void app.set("json spaces", 2).set("json escape", true),
  "a json replacer": (app) =>
    void app.set("json replacer", (_key: string, value: unknown) => (value === 1 ? "one" : value)),
};

describe.each(expressVersions)("%s", (_version, express) => {
  it.each(Object.keys(settings))("with %s, all made responses are the same, byte for byte", async (name) => {
    const { ask } = await pair(express, settings[name]);
    await fc.assert(
      fc.asyncProperty(
        bodies,
        headers,
        fc.constantFrom(...statuses),
        requests,
        async (sent, fields, status, request) => {
          const { plain, fast } = await ask(
            (_req, res) => {
              try {
                res.status(status);
                for (const [field, value] of fields) res.set(field, value);
                res[sent.call](sent.body);
              } catch (error) {
                res.removeHeader("Transfer-Encoding");
                res.removeHeader("Content-Length");
                res.statusCode = 500;
                res.end((error as Error).message);
              }
            },
            `${request.method} / HTTP/1.1\r\n`,
            request.fields.join(""),
          );
          expect(fast).toBe(plain);
        },
      ),
      { numRuns: SOAK ? 500 : 20 },
    );
  });

  it.each<[string, (app: Express) => http.ServerOptions]>([
    ["expressServerOptions", (app) => expressServerOptions(app)],
    [
      "a log that counts bytes, and compress for a client that wants none,",
      (app) => {
        app.use(requestLog({ stream: { write: () => true } }), compress());
        return expressServerOptions(app);
      },
    ],
    [
      "requestContext alone, from its second request on",
      (app) => {
        app.use(requestContext());
        return {};
      },
    ],
  ])("with %s, head and body of a small answer are one write to the socket", async (_name, prepare) => {
    const app = express();
    const options = prepare(app);
    app.get("/", (_req, res) => void res.json({ hello: "world" }));
    const server = http.createServer(options, app);
    servers.push(server);
    let writes = 0;
    server.on("connection", (socket) => {
      const { write } = socket;
      writes = 0;
      socket.write = ((...args: unknown[]) => {
        if ((args[0] as string).length > 0) writes++;
        return write.apply(socket, args as never);
      }) as typeof write;
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    await raw(port, ONE);
    const { text } = await raw(port, ONE);
    expect(text).toContain('{"hello":"world"}');
    expect(writes).toBe(1);
  });

  it("code that replaced res.end gets a Buffer, as from Express", async () => {
    const { ask } = await pair(express);
    const seen: unknown[][] = [];
    const { plain, fast } = await ask((_req, res) => {
      const { end } = res;
      res.end = ((...args: unknown[]) => {
        seen.push(args);
        return end.apply(res, args as never);
      }) as typeof end;
      res.json({ a: 1 });
    });
    expect(fast).toBe(plain);
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[1]![0]).toBeInstanceOf(Buffer);
  });

  it.each<[string, (res: Response, note: (text: string) => void) => void]>([
    ["json", (res, note) => replace(res, "json", note)],
    ["send", (res, note) => replace(res, "send", note)],
    ["set", (res, note) => replace(res, "set", note)],
    ["get", (res, note) => replace(res, "get", note)],
    ["type", (res, note) => replace(res, "type", note)],
    ["status", (res, note) => replace(res, "status", note)],
  ])("code that replaced res.%s on one response is called as often", async (_name, change) => {
    const { ask } = await pair(express);
    const notes: string[][] = [];
    for (const call of ["json", "send"] as const) {
      const { plain, fast } = await ask((_req, res) => {
        const own: string[] = [];
        notes.push(own);
        change(res, (text) => own.push(text));
        res[call]("text");
      });
      expect(fast).toBe(plain);
      expect(notes.at(-1)).toEqual(notes.at(-2));
    }
  });

  it("methods that are replaced on the prototypes later are used", async () => {
    const { ask, apps } = await pair(express);
    const calls: string[] = [];
    const shared = Object.getPrototypeOf(apps[1]!.response) as Response;
    const { json, send } = shared;
    try {
      replace(shared, "json", (text) => calls.push(text));
      await ask((_req, res) => void res.json({}));
      expect(calls).toEqual(["json", "json"]);
      shared.json = json;
      replace(shared, "send", (text) => calls.push(text));
      await ask((_req, res) => void res.send("text"));
      expect(calls).toEqual(["json", "json", "send", "send"]);
    } finally {
      Object.assign(shared, { json, send });
    }
    for (const app of apps) replace(app.response, "send", (text) => calls.push(`own ${text}`));
    await ask((_req, res) => void res.json({}));
    expect(calls.slice(4)).toEqual(["own send", "own send"]);
  });

  it("a method that a tracer wrapped on express.response before is what runs", async () => {
    const shared = Object.getPrototypeOf(express().response) as Response;
    const calls: string[] = [];
    for (const name of ["json", "send", "set", "get", "type"] as const) {
      const original = shared[name];
      replace(shared, name, (text) => calls.push(text));
      try {
        const { ask, apps } = await pair(express);
        expect(Object.hasOwn(apps[1]!.response, "json")).toBe(false);
        calls.length = 0;
        const { plain, fast } = await ask((_req, res) => void res.send("text"));
        expect(fast).toBe(plain);
        expect(calls.slice(calls.length / 2)).toEqual(calls.slice(0, calls.length / 2));
      } finally {
        Object.assign(shared, { [name]: original });
      }
    }
  });

  it("an app whose responses had methods of their own keeps them", async () => {
    const { ask } = await pair(express, (app) => {
      app.response.json = function (this: Response, value: unknown) {
        return this.type("text").send(`mine: ${JSON.stringify(value)}`);
      } as Response["json"];
    });
    const { plain, fast } = await ask((_req, res) => void res.json({ a: 1 }));
    expect(fast).toBe(plain);
    expect(fast).toContain('mine: {"a":1}');
  });

  it("a mounted app uses its own settings", async () => {
    const { ask } = await pair(express, (app) => {
      const inner = express();
      inner.set("etag", false).set("json spaces", 2);
      inner.get("/", (_req, res) => void res.json({ a: 1 }));
      app.use("/inner", inner);
    });
    const { plain, fast } = await ask((_req, res) => void res.json({ a: 1 }), "GET /inner HTTP/1.1\r\n");
    expect(fast).toBe(plain);
    expect(fast).toContain('{\n  "a": 1\n}');
    expect(fast).not.toMatch(/^ETag/m);
  });

  it("strings of one length, and their repetition, each get their own ETag", async () => {
    const { ask } = await pair(express);
    const bodies = [
      "a",
      "b",
      "a",
      "a".repeat(8_001),
      "b".repeat(8_001),
      "b".repeat(8_001),
      "é".repeat(8_001),
    ];
    bodies.push("z".repeat(65_536), "z".repeat(65_536), "z".repeat(65_537), "z".repeat(65_537), "", "a");
    for (const body of bodies) {
      const { plain, fast } = await ask((_req, res) => void res.send(body));
      expect(fast).toBe(plain);
      expect(fast).toMatch(/^ETag: W/m);
    }
  });

  it("a second answer, after the head, fails as in Express", async () => {
    const { ask } = await pair(express);
    const errors: unknown[] = [];
    for (const call of ["json", "send"] as const) {
      await ask((_req, res) => {
        res.send("first");
        try {
          res[call]("second");
        } catch (error) {
          errors.push((error as NodeJS.ErrnoException).code, (error as Error).message);
        }
      });
    }
    expect(errors).toHaveLength(8);
    expect(errors.slice(2, 4)).toEqual(errors.slice(0, 2));
    expect(errors.slice(6)).toEqual(errors.slice(4, 6));
  });
});

const ONE = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/** Wraps a method so that each call is noted. */
function replace(on: object, name: string, note: (name: string) => void): void {
  const methods = on as Record<string, (...args: unknown[]) => unknown>;
  const original = methods[name]!;
  methods[name] = function (this: unknown, ...args: unknown[]) {
    note(name);
    return original.apply(this, args);
  };
}
