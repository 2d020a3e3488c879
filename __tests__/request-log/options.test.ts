import morgan from "morgan";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { requestLog } from "../../src/request-log/index.js";

const stream = { write: () => true };

/** Options that are wrong; the option that must be named; what must be said about it. */
const WRONG: [unknown, string, RegExp][] = [
  ["combined", "options", /requestLog\(\{ format: "combined" \}\)/],
  [() => "", "options", /requestLog\(\{ format: \(entry, req, res\)/],
  [null, "options", /object of options/],
  [[], "options", /object of options/],
  [42, "options", /object of options/],
  [{ formatt: "json" }, "formatt", /Did you mean "format"\?/],
  [{ slow: 5 }, "slow", /Did you mean "slowMs"\?/],
  [{ buffer: true }, "buffer", /The options are format, schema/],
  [{ format: "combinde" }, "format", /Did you mean "combined"\?/],
  [{ format: "zzzzzzzzzzz" }, "format", /The names are json, dev, combined/],
  [{ format: "" }, "format", /no :token/],
  [{ format: "url" }, "format", /write ":url"/],
  [{ format: "compile" }, "format", /not the name of a format/],
  [{ format: ":metod :url" }, "format", /Did you mean ":method"\?/],
  [{ format: ":nonsense-token" }, "format", /morgan\.token\(\)/],
  [{ format: ":req :url" }, "format", /without a header's name/],
  [{ format: ":res" }, "format", /:res\[content-length\]/],
  [{ format: ":date[utc]" }, "format", /clf, iso, web/],
  [{ format: ":response-time[x]" }, "format", /number of digits/],
  [{ format: ":total-time[101]" }, "format", /number of digits/],
  [{ format: 7 }, "format", /morgan format/],
  [{ format: null }, "format", /or a function/],
  [{ schema: "ECS" }, "schema", /Did you mean "ecs"\?/],
  [{ schema: "ecs", format: "dev" }, "schema", /leave one of them out/],
  [{ stream: {} }, "stream", /write\(line\)/],
  [{ stream: null }, "stream", /write\(line\)/],
  [{ stream: "out.log" }, "stream", /process\.stdout/],
  [{ logger: { info() {} } }, "logger", /it has no debug, warn, error/],
  [{ logger: console, stream }, "stream", /combined with logger/],
  [{ skip: true }, "skip", /function \(req, res\)/],
  [{ ignore: "/healthz" }, "ignore", /function of the request/],
  [{ level: "info" }, "level", /function of the entry/],
  [{ headers: ["x y"] }, "headers", /not a header's name/],
  [{ headers: [1] }, "headers", /list of strings/],
  [{ headers: "a,,b" }, "headers", /empty name/],
  [{ redact: ["token"] }, "redact", /\{ query:/],
  [{ redact: { querry: [] } }, "redact.querry", /Did you mean "query"\?/],
  [{ redact: { query: [5] } }, "redact.query", /list of strings/],
  [{ redact: { path: "/x" } }, "redact.path", /function \(path, req\)/],
  [{ immediate: "yes" }, "immediate", /true or false/],
  [{ slowMs: 0 }, "slowMs", /whole number of milliseconds from 1/],
  [{ slowMs: "1s" }, "slowMs", /whole number of milliseconds/],
  [{ slowMs: 100, immediate: true }, "slowMs", /leave one of them out/],
  [{ serverTiming: "prod" }, "serverTiming", /true, false, or a function/],
];

describe("requestLog's options", () => {
  it.each(WRONG)("%j is refused", (options, option, remedy) => {
    let error: unknown;
    try {
      requestLog(options as never);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    const problem = (error as ConfigError).problems.find((one) => one.option === option);
    expect(problem?.reason).toMatch(remedy);
    expect((error as Error).message).toContain("requestLog()");
  });

  it("are checked all at once", () => {
    const make = () => requestLog({ format: 1, slowMs: -1, redact: { path: 1 }, nope: 1 } as never);
    expect(make).toThrow(/4 problems[\s\S]*nope[\s\S]*format[\s\S]*redact\.path[\s\S]*slowMs/);
  });

  it("may be absent, empty, without a prototype, or explicitly undefined", () => {
    const names = ["format", "schema", "logger", "stream", "skip", "ignore", "level", "headers", "redact"];
    const undefinedOnes = Object.fromEntries(
      [...names, "immediate", "slowMs", "serverTiming"].map((name) => [name, undefined]),
    );
    for (const options of [undefined, {}, Object.create(null), undefinedOnes]) {
      expect(() => requestLog(options)).not.toThrow();
    }
    expect(() => requestLog({ redact: { query: undefined, path: undefined } })).not.toThrow();
  });

  it("are copied: what changes later changes nothing", () => {
    const headers = ["x-one"];
    const options = { stream, headers };
    requestLog(options);
    expect(Object.isFrozen(options)).toBe(false);
    expect(options).toEqual({ stream, headers: ["x-one"] });
  });

  it.each(["combined", "common", "short", "tiny", "dev", "json"])("the format %s is known", (format) => {
    expect(() => requestLog({ format, stream })).not.toThrow();
  });

  it("a format that was registered with morgan is known", () => {
    morgan.format("portico-test", ":method :url");
    expect(() => requestLog({ format: "portico-test", stream })).not.toThrow();
  });

  it("the handler has its name", () => {
    expect(requestLog().name).toBe("requestLog");
    expect(requestLog()).toHaveLength(3);
  });
});
