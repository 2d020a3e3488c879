import morgan from "morgan";
import request from "supertest";
import { secretNames } from "../../src/lib/log/redact.js";
import { stateOf } from "../../src/lib/request/state.js";
import { compileMorgan, type LineFormat } from "../../src/request-log/formats/morgan.js";
import { type RequestLogEntry, type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { memoryStream } from "./memory.js";

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const APACHE_COMBINED =
  /^(\S+) (\S+) (\S+) \[(\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "(\S+) (\S+) (HTTP\/[\d.]+)" (\d{3}) (\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"$/;

describe.each(expressVersions)("the lines of requestLog on %s", (_version, express) => {
  function app(options: RequestLogOptions) {
    const stream = memoryStream();
    const server = express();
    server.use(requestLog({ stream, ...options }));
    server.get("/hello", (_req, res) => {
      res.send("hello");
    });
    server.get("/login", (req, res) => {
      stateOf(req).auth = { scheme: "basic", principal: { name: "ada l." } };
      res.send("in");
    });
    return { stream, server };
  }

  it("json is the plain entry, in milliseconds", async () => {
    const { stream, server } = app({ format: "json" });
    await request(server).get("/hello?x=1").set("User-Agent", "test").set("Referer", "http://a/b");
    expect(stream.entries).toEqual([
      {
        time: expect.stringMatching(ISO),
        level: "info",
        method: "GET",
        path: "/hello",
        query: "x=1",
        route: "/hello",
        status: 200,
        durationMs: expect.any(Number),
        headersMs: expect.any(Number),
        responseBytes: 5,
        remoteAddress: "127.0.0.1",
        httpVersion: "1.1",
        userAgent: "test",
        referrer: "http://a/b",
      },
    ]);
    const [entry] = stream.entries;
    expect(entry!.headersMs).toBeLessThanOrEqual(entry!.durationMs);
  });

  it("dev begins with method, target, status and duration, without colour off a terminal", async () => {
    const { stream, server } = app({ format: "dev" });
    await request(server).get("/hello?x=1");
    expect(stream.lines).toEqual([expect.stringMatching(/^GET \/hello\?x=1 200 \d+\.\d{3} ms$/)]);
  });

  it("combined can be parsed as Apache's format, with - for absent values", async () => {
    const { stream, server } = app({ format: "combined" });
    await request(server).get("/hello?x=1").set("User-Agent", 'x"y\\z');
    await request(server)
      .get("/login")
      .set("Authorization", `Basic ${btoa("mallory:pw")}`)
      .unset("User-Agent");
    await request(server)
      .get("/hello")
      .set("Authorization", `Basic ${btoa("mallory:pw")}`);
    const [first, second, third] = stream.lines.map((line) => APACHE_COMBINED.exec(line));
    expect(first?.slice(1, 4)).toEqual(["127.0.0.1", "-", "-"]);
    expect(first?.slice(5)).toEqual(["GET", "/hello?x=1", "HTTP/1.1", "200", "5", "-", 'x\\"y\\\\z']);
    expect(second?.[3]).toBe("ada\\u0020l."); // an authenticated user, in one field
    expect(third?.[3]).toBe("-"); // a name that is only claimed
  });

  it("for benign requests the tokens are morgan's", async () => {
    const format =
      ':remote-addr :method :url HTTP/:http-version :status :res[content-length] ":referrer" ":user-agent" :req[x-a] :res[x-powered-by] :req[none] :pid';
    const { stream, server } = app({ format });
    const theirs = memoryStream();
    const both = express();
    both.use(morgan(format, { stream: theirs }));
    both.use(server);
    await request(both).get("/hello?x=1&y=%20").set("Referer", "https://a.example/b").set("X-A", "1");
    await request(both).post("/hello").set("User-Agent", "curl/8").send({ a: 1 });
    await request(both).get("/missing").set("X-A", 'quo"te');
    await request(both).head("/hello");
    expect(stream.lines).toHaveLength(4);
    expect(stream.lines).toEqual(theirs.lines);
  });

  it("morgan's dates and times keep their arguments", async () => {
    const { stream, server } = app({
      format: ":date[clf] | :date[iso] | :date | :response-time[0] | :total-time",
    });
    await request(server).get("/hello");
    expect(stream.lines[0]).toMatch(
      /^\d\d\/\w{3}\/\d{4}:[\d:]{8} \+0000 \| \d{4}-.*Z \| \w{3}, .* GMT \| \d+ \| \d+\.\d{3}$/,
    );
  });

  it("the dates of each line are those of its second", () => {
    const OF: [string, string, string][] = [
      ["2026-02-03T04:05:06.999Z", "03/Feb/2026:04:05:06 +0000", "Tue, 03 Feb 2026 04:05:06 GMT"],
      ["2026-02-03T04:05:07.000Z", "03/Feb/2026:04:05:07 +0000", "Tue, 03 Feb 2026 04:05:07 GMT"],
      ["2026-02-03T04:05:06.000Z", "03/Feb/2026:04:05:06 +0000", "Tue, 03 Feb 2026 04:05:06 GMT"],
      ["2027-12-31T23:59:59.500Z", "31/Dec/2027:23:59:59 +0000", "Fri, 31 Dec 2027 23:59:59 GMT"],
    ];
    const line = compileMorgan(":date[clf]|:date[web]|:date[iso]|:date", secretNames()) as LineFormat;
    for (const [time, clf, web] of OF) {
      const entry = { time } as RequestLogEntry;
      expect(line(entry, undefined as never, undefined as never)).toBe(`${clf}|${web}|${time}|${web}`);
    }
  });

  it.each([
    ["GET", "GET"],
    ["QUERY", "QUERY"],
    ["get", "get"],
    ["__proto__", "__proto__"],
    ['A "B\\\r\n', 'A\\u0020\\"B\\\\\\r\\n'],
    ["A\u00a0B\u2028", "A\\u00a0B\\u2028"],
  ])("the method %j is written as %j", (method, written) => {
    const line = compileMorgan(":method", secretNames()) as LineFormat;
    expect(line({ method } as RequestLogEntry, undefined as never, undefined as never)).toBe(written);
  });

  it("the app's own tokens and formats work, and are escaped", async () => {
    morgan.token("portico-evil", (_req, _res, argument) => `a\n"b\\${argument}`);
    morgan.token("portico-object", () => ({ toString: () => "x\r\ny" }) as never);
    morgan.format(
      "portico-function",
      (tokens, req, res) => `${tokens.method?.(req, res)}\n${tokens.url?.(req, res)}`,
    );
    const tokens = app({ format: ":portico-evil[z] :portico-object" });
    await request(tokens.server).get("/hello");
    expect(tokens.stream.lines).toEqual(['a\\n\\"b\\\\z x\\r\\ny']);
    const own = app({ format: "portico-function" });
    await request(own.server).get("/hello?token=s");
    expect(own.stream.lines).toEqual(["GET\\n/hello?token=REDACTED"]);
  });

  it("a format function returns the line, or none", async () => {
    const { stream, server } = app({
      format: (entry, req, res) =>
        entry.path === "/login" ? undefined : `${req.method}\n${res.statusCode} ${entry.responseBytes}`,
    });
    await request(server).get("/login");
    await request(server).get("/hello");
    expect(stream.lines).toEqual(["GET\\n200 5"]);
  });

  it("a logger gets the known fields, and a readable line", async () => {
    const logger = memoryLogger();
    const { server } = app({ stream: undefined, logger });
    await request(server).get("/missing?x=1").unset("User-Agent");
    expect(logger.entries).toHaveLength(1);
    const [{ level, fields, message }] = logger.entries as [(typeof logger.entries)[0]];
    expect(level).toBe("warn");
    expect(message).toMatch(/^GET \/missing\?x=1 404 \d+\.\d{3} ms$/);
    expect(Object.keys(fields)).toEqual(
      expect.arrayContaining(["method", "path", "query", "status", "durationMs", "responseBytes"]),
    );
    for (const name of ["time", "level", "user", "error", "route"]) expect(fields).not.toHaveProperty(name);
  });

  it("immediate writes once, when the request arrives, with a mark", async () => {
    const { stream, server } = app({ immediate: true, format: "json" });
    const dev = app({ immediate: true, format: "dev" });
    await request(server).get("/hello");
    await request(dev.server).get("/hello");
    expect(stream.entries).toEqual([expect.objectContaining({ immediate: true, status: 0, durationMs: 0 })]);
    expect(stream.entries[0]).not.toHaveProperty("responseBytes");
    expect(dev.stream.lines).toEqual(["GET /hello - - ms"]);
  });

  it("on a terminal the default is dev, with a coloured status unless NO_COLOR is set", async () => {
    const before = process.env.NO_COLOR;
    const lineWith = async (noColour: string | undefined, isTTY: boolean, path: string) => {
      if (noColour === undefined) delete process.env.NO_COLOR;
      else process.env.NO_COLOR = noColour;
      const stream = Object.assign(memoryStream(), { isTTY });
      const server = express();
      server.use(requestLog({ stream }));
      server.use((req, res) => {
        res.sendStatus(Number(req.path.slice(1)));
      });
      await request(server).get(path);
      return stream.lines[0];
    };
    try {
      for (const [status, colour] of [
        [200, 32],
        [304, 36],
        [404, 33],
        [500, 31],
      ]) {
        expect(await lineWith(undefined, true, `/${status}`)).toMatch(
          new RegExp(`^GET /${status} \\x1b\\[${colour}m${status}\\x1b\\[39m \\d+\\.\\d{3} ms$`),
        );
      }
      expect(await lineWith("", true, "/200")).toContain("\x1b");
      expect(await lineWith("1", true, "/200")).toMatch(/^GET \/200 200 \d+\.\d{3} ms$/);
      expect(await lineWith(undefined, false, "/200")).toMatch(/^\{"time":/);
    } finally {
      if (before === undefined) delete process.env.NO_COLOR;
      else process.env.NO_COLOR = before;
    }
  });

  it("a handler that is mounted twice writes one record, two handlers write two", async () => {
    const stream = memoryStream();
    const log = requestLog({ stream });
    const server = express();
    server.use(log, requestLog({ stream, format: "dev" }), log);
    await request(server).get("/");
    expect(stream.lines).toHaveLength(2);
  });
});
