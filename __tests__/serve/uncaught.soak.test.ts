import net from "node:net";
import { certificate } from "../support/certificate.js";
import { raw } from "../support/server.js";
import { beginHttp2, failHttp2, stream } from "./fixtures/uncaught-h2.js";
import { endPrograms, send, start } from "./fixtures/uncaught-program.js";
import { begin, type Ended, errorsOf, fail, idOf, type Scene, type Way } from "./fixtures/uncaught-scene.js";

afterAll(endPrograms);

const NODE = Number.parseInt(process.versions.node, 10);
const SLOW = { status: 200, complete: true, body: '{"slow":true}', headers: { connection: "close" } };
const STREAM = { status: 200, complete: true, body: `${"chunk ".repeat(6)}end` };
/** The other requests can finish on a busy machine too. */
const PATIENT = { drain: { idleGraceMs: 100, deadlineMs: 5_000 } };
const PLAIN = "text/plain; charset=utf-8";
const ANSWERED = { status: 500, complete: true, headers: { connection: "close" } };

/** The other requests finish, no new one is accepted, and then the process ends: at once, and not by force. */
function expectDrained({ program }: Scene, ended: Ended) {
  expect(ended).toMatchObject({ slow: SLOW, stream: STREAM, refuses: true, exit: 1 });
  expect(program.all("exit")[0].afterLoopMs).toBeLessThan(2_000); // keep-alive alone would take longer
  expect(program.stderr()).toBe("");
}

/** First that the process ends, why, and in which request; then the request's failure, if it was answered. */
function expectLogged(
  scene: Pick<Scene, "program">,
  name: string,
  fate: Fate,
  error: unknown = expect.objectContaining({ stack: expect.stringContaining("boom") }),
) {
  const [first, ...others] = errorsOf(scene);
  const requestId = scene.program.said.find(({ started }) => started === name)?.id;
  const whose = { requestId, method: expect.any(String), path: `/throw/${encodeURIComponent(name)}` };
  expect(first).toEqual({
    by: "serve",
    level: "error",
    message: expect.stringMatching(/^uncaught error .*; the process finishes what is under way, and ends$/),
    origin: expect.stringMatching(/^(?:uncaughtException|unhandledRejection)$/),
    error,
    ...(fate !== "no request" && whose),
  });
  const isAnswered = fate === "answered" || fate === "truncated";
  expect(others).toEqual(isAnswered ? [expect.objectContaining({ by: "recover", requestId, error })] : []);
  const messages = scene.program.all("record").map(({ message }) => message);
  expect(messages.indexOf(first!.message)).toBeLessThan(messages.findIndex((text) => /^closed/.test(text)));
}

/** The uncaught errors, as the server logs them. */
const uncaughtOf = (scene: Pick<Scene, "program">) => errorsOf(scene).filter(({ by }) => by === "serve");

const portOf = ({ url }: Scene) => Number(new URL(url).port);

/** What happens to the request whose work failed. */
type Fate =
  /** 500, and the connection closes. */
  | "answered"
  /** Its head had been sent: it is truncated so that the client sees it. */
  | "truncated"
  /** It had been answered, or its client had left: the error is logged, with its id. */
  | "over"
  /** The request is not certain: none is answered. */
  | "no request";

describe("an uncaught error answers the request that it comes from, and no other", () => {
  const ways: [string, Fate, Way?][] = [
    ["timer after res.write", "truncated"],
    ["setTimeout", "answered"],
    ["setInterval", "no request"],
    ["setImmediate", "answered"],
    ["nextTick", "answered"],
    ["nextTick in a timer", "answered"],
    ["queueMicrotask", NODE >= 24 ? "answered" : "no request"],
    ["AbortSignal.timeout", "answered"],
    ["EventTarget", "answered"],
    ["MessageChannel", "answered"],
    ["own emitter", "answered"],
    ["fs callback", "answered"],
    ["fs stream data", "answered"],
    ["fs stream error without a listener", "answered"],
    ["dns callback", "answered"],
    ["crypto callback", "answered"],
    ["zlib callback", "answered"],
    ["execFile callback", "no request"],
    ["pipeline callback", "answered"],
    ["Readable.from that throws", "answered"],
    ["net connect", "no request"],
    ["net data", "no request"],
    ["net refused, with no listener", "no request"],
    ["http response", "no request"],
    ["http response data", "no request"],
    ["http response end", "no request"],
    ["http response on a warm connection", "no request"],
    ["async function, not awaited", "answered"],
    ["rejection at once", "answered"],
    ["async timer", "answered"],
    ["async listener", "answered"],
    ["fetch().then", "answered"],
    ["promise from outside, then inside", "answered"],
    ["promise rejected from outside", NODE >= 24 ? "no request" : "answered"],
    ["res.write callback", "truncated"],
    ["res.end callback", "over"],
    ["res finish", "over"],
    ["res close", "over"],
    ["timer after the answer", "over"],
    ["req.setTimeout", "answered", "stall"],
    ["res.setTimeout", "answered"],
    ["req data", "answered", "upload"],
    ["req end", "answered", "upload"],
    ["req readable", "answered", "upload"],
    ["req pipe", "answered", "upload"],
    ["for await of req", "answered", "upload"],
    ["after json", "answered", "upload"],
    ["req aborted", "over", "leave"],
    ["req close", "over", "leave"],
    ["req error", "over", "leave"],
    ["res close when the client leaves", "over", "leave"],
    ["shared emitter", "no request"],
    ["shared queue", "no request"],
  ];
  it.concurrent.each(ways)("%s: %s", async (name, fate, way = "get") => {
    const scene = await begin(fate === "no request" ? {} : PATIENT);
    const reply = await fail(scene, name, way);
    const ended = await scene.end();

    const id = idOf(scene, name);
    const error = expect.objectContaining({ stack: expect.stringMatching(/boom|ENOENT|ECONNREFUSED/) });
    expectLogged(scene, name, fate, error);
    if (fate === "answered") {
      expect(reply).toMatchObject(ANSWERED);
      expect(JSON.parse(reply.body)).toMatchObject({ status: 500, requestId: id });
    }
    if (fate === "truncated")
      expect(reply).toMatchObject({ status: 200, complete: false, error: "ECONNRESET" });
    if (fate === "no request") expect(reply).toMatchObject({ status: 0, error: "ECONNRESET" });
    if (fate === "over" && way === "get")
      expect(reply).toMatchObject({ status: 200, complete: true, body: "whole" });
    expect(scene.program.all("request")).toHaveLength(4); // each request has one line in the log
    expectDrained(scene, ended);
  });
});

it.concurrent("of many errors at once, each answers its own request", async () => {
  const ways: Record<string, Way> = {
    "req data": "upload",
    "req end": "upload",
    "req readable": "upload",
    "after json": "upload",
    "req close": "leave",
    "res close when the client leaves": "leave",
    "req.setTimeout": "stall",
  };
  const answered = [
    ...["setTimeout", "nextTick", "nextTick in a timer", "setImmediate", "fs stream data"],
    ...["rejection at once", "async timer", "fetch().then", "req.setTimeout"],
    ...["req data", "req end", "req readable", "after json"],
  ];
  const over = [
    ...["res finish", "res close", "res.end callback", "timer after the answer"],
    ...["req close", "res close when the client leaves"],
  ];
  const names = [...answered, ...over];
  const scene = await begin({ together: names.length, drain: { idleGraceMs: 100, deadlineMs: 5_000 } });
  const replies = await Promise.all(names.map((name) => fail(scene, name, ways[name])));
  const ended = await scene.end();
  replies.forEach(({ status, body }, i) => {
    const name = names[i]!;
    if (answered.includes(name)) {
      expect({ name, status, id: JSON.parse(body).requestId }).toEqual({
        name,
        status: 500,
        id: idOf(scene, name),
      });
    } else if (ways[name] === undefined) {
      expect({ name, status }).toEqual({ name, status: 200 });
    }
  });
  const logged = uncaughtOf(scene).map(({ error, requestId }) => [(error as Error).message, requestId]);
  expect(logged.sort()).toEqual(names.map((name) => [`boom ${name}`, idOf(scene, name)]).sort());
  expectDrained(scene, ended);
});

describe("any thrown value", () => {
  const values = [
    ...["a string", "undefined", "null", "zero", "NaN", "false", "the word route", "a symbol", "a bigint"],
    ...["a function", "a frozen error", "an object without a prototype", "an object that throws"],
    "a proxy that throws",
  ];
  const handling: [string, string, string][] = [
    ["recover", "recover", "application/problem+json; charset=utf-8"],
    ["none", "serve", "text/html; charset=utf-8"],
  ];
  it.concurrent.each(
    handling,
  )("is answered and logged once, with errors handled by: %s", async (errors, by, type) => {
    const names = values.flatMap((value) => [`throw ${value}`, `reject with ${value}`]);
    names.pop(); // that rejection throws in Node's own code, which belongs to no request
    const drain = { idleGraceMs: 100, deadlineMs: 3_000 };
    const scene = await begin({ errors, drain, together: names.length });
    const replies = await Promise.all(names.map((name) => fail(scene, name)));
    const ended = await scene.end();
    const kinds = replies.map(({ status, complete, headers }, i) => [
      names[i],
      status,
      complete,
      headers["content-type"],
    ]);
    // Express's own handler cannot answer an error whose properties throw.
    const typeOf = (name: string) => (by === "serve" && name.endsWith(" that throws") ? PLAIN : type);
    expect(kinds).toEqual(names.map((name) => [name, 500, true, typeOf(name)]));
    const ids = errorsOf(scene)
      .filter(({ message }) => !/that had failed before/.test(String(message)))
      .map(({ requestId, ...record }) => [record.by, requestId]);
    const bys = by === "recover" ? ["serve", "recover"] : ["serve"];
    expect(ids.sort()).toEqual(names.flatMap((name) => bys.map((one) => [one, idOf(scene, name)])).sort());
    expectDrained(scene, ended);
  });
});

it.concurrent("without recover, serve logs the error", async () => {
  const scene = await begin({ errors: "none" });
  const reply = await fail(scene, "setTimeout");
  const ended = await scene.end();
  expect(reply).toMatchObject({ ...ANSWERED, headers: { "content-type": "text/html; charset=utf-8" } });
  expect(errorsOf(scene)).toMatchObject([
    {
      by: "serve",
      level: "error",
      requestId: idOf(scene, "setTimeout"),
      error: { message: "boom setTimeout" },
    },
  ]);
  expectDrained(scene, ended);
});

it.concurrent.each([
  "none",
  "throwing",
])("without recover, a response that had begun is truncated: %s", async (errors) => {
  const scene = await begin({ errors });
  const reply = await fail(scene, "res.write callback");
  const ended = await scene.end();
  expect(reply).toMatchObject({ status: 200, complete: false, error: "ECONNRESET" });
  expect(errorsOf(scene)).toMatchObject([{ by: "serve", requestId: idOf(scene, "res.write callback") }]);
  expectDrained(scene, ended);
});

it.concurrent("an error that comes after another one keeps its own request", async () => {
  const scene = await begin({ errors: "slow", together: 2 });
  const other = "res finish, then socket close";
  const [reply] = await Promise.all([fail(scene, "nextTick"), fail(scene, other)]);
  const ended = await scene.end();
  expect(JSON.parse(reply.body)).toEqual({ message: "boom nextTick", isInScope: true });
  const ids = uncaughtOf(scene).map(({ error, requestId }) => [(error as Error).message, requestId]);
  expect(Object.fromEntries(ids)).toEqual({
    "boom nextTick": idOf(scene, "nextTick"),
    [`boom ${other}`]: idOf(scene, other),
    "boom, of the socket": undefined,
  });
  expectDrained(scene, ended);
});

it.concurrent("if an error handler of the app throws, Express answers", async () => {
  const scene = await begin({ errors: "throwing" });
  const reply = await fail(scene, "setTimeout");
  const ended = await scene.end();
  expect(reply).toMatchObject(ANSWERED);
  expect(errorsOf(scene)).toMatchObject(
    [
      { by: "serve", requestId: idOf(scene, "setTimeout"), error: { message: "boom setTimeout" } },
      { by: "serve", requestId: idOf(scene, "setTimeout"), message: "the app's error handling threw" },
    ].slice(0, errorsOf(scene).length),
  );
  expectDrained(scene, ended);
});

it.concurrent("two errors of one request get one answer, in the request's scope; the second is only logged", async () => {
  const scene = await begin({ errors: "slow" });
  const reply = await fail(scene, "two errors");
  const ended = await scene.end();
  expect(reply).toMatchObject(ANSWERED);
  expect(JSON.parse(reply.body)).toEqual({ message: "boom two errors", isInScope: true });
  const id = idOf(scene, "two errors");
  expect(errorsOf(scene)).toMatchObject([
    {
      by: "serve",
      message: expect.stringMatching(/^uncaught error in a request;/),
      requestId: id,
      error: { message: "boom two errors" },
    },
    {
      by: "serve",
      message: expect.stringMatching(/^uncaught error in a request that had failed before;/),
      requestId: id,
      error: { message: "boom, again" },
    },
  ]);
  expectDrained(scene, ended);
});

it.concurrent.each(["chain", "in a router"])("reaches recover also from: %s", async (errors) => {
  const scene = await begin({ errors });
  const reply = await fail(scene, "setTimeout");
  const ended = await scene.end();
  expect(reply).toMatchObject(ANSWERED);
  expectLogged(scene, "setTimeout", "answered");
  expectDrained(scene, ended);
});

it.concurrent("an AbortRequest resets the connection; the log says that the process ends because of it", async () => {
  const scene = await begin();
  const reply = await fail(scene, "AbortRequest");
  const ended = await scene.end();
  expect(reply).toMatchObject({ status: 0, error: "ECONNRESET" });
  expect(errorsOf(scene)).toMatchObject([{ by: "serve", requestId: idOf(scene, "AbortRequest") }]);
  expectDrained(scene, ended);
});

it.concurrent("an error after the response does not affect the connection, nor the next request on it", async () => {
  const scene = await begin();
  const head = "HTTP/1.1\r\nHost: a\r\n\r\n";
  const sent = raw(
    portOf(scene),
    [`GET /throw/timer%20after%20the%20answer ${head}`, `GET /slow ${head}`],
    2_000,
  );
  const { text, end } = await sent;
  const ended = await scene.end();
  expect(text).toMatch(/^HTTP\/1.1 200 OK[\s\S]*wholeHTTP\/1.1 200 OK[\s\S]*\{"slow":true\}$/);
  expect(end).toBe("fin");
  expect(errorsOf(scene)).toMatchObject([{ by: "serve", requestId: idOf(scene, "timer after the answer") }]);
  expect(ended.exit).toBe(1);
});

it.concurrent.each([
  "recover",
  "own",
  "none",
])("the connection closes, and the response says so, with errors handled by: %s", async (errors) => {
  const scene = await begin({ errors });
  const request = "GET /throw/own%20emitter HTTP/1.1\r\nHost: a\r\n\r\n";
  const { text, end } = await raw(portOf(scene), request, 2_000);
  const ended = await scene.end();
  expect(text.match(/^(HTTP\/1.1 \d+|Connection: .*)/gm)).toEqual(["HTTP/1.1 500", "Connection: close"]);
  expect(end).toBe("fin");
  expect(errorsOf(scene)).toHaveLength(errors === "recover" ? 2 : 1);
  expectDrained(scene, ended);
});

describe("with a second installed copy of the package", () => {
  const parts: [string, string[]][] = [
    ["the context", ["requestContext"]],
    ["serve", ["serve"]],
    ["recover", ["recover"]],
  ];
  it.concurrent.each(
    parts,
  )("from which %s comes, an error answers its request all the same", async (_which, second) => {
    const scene = await begin({ second, together: 3 });
    const names = ["setTimeout", "res finish", "req end"];
    const replies = await Promise.all(names.map((name, i) => fail(scene, name, i === 2 ? "upload" : "get")));
    const ended = await scene.end();
    expect(replies.map(({ status }) => status)).toEqual([500, 200, 500]);
    const ids = uncaughtOf(scene).map(({ requestId }) => requestId);
    expect(ids.sort()).toEqual(names.map((name) => idOf(scene, name)).sort());
    expectDrained(scene, ended);
  });
});

describe("with onUncaught: false", () => {
  it.concurrent("nothing is installed: the process ends as without serve", async () => {
    const scene = await begin({ serving: { onUncaught: false } });
    const reply = await fail(scene, "setTimeout");
    const ended = await scene.end();
    expect(reply).toMatchObject({ status: 0, error: "ECONNRESET" });
    expect(ended).toMatchObject({ exit: 1, slow: { status: 0 }, stream: { complete: false } });
    expect(scene.program.stderr()).toMatch(/Error: boom setTimeout\n/);
    expect(scene.program.all("exit")[0].listeners).toEqual([0, 1, 1]);
    expect(scene.program.all("record")).toEqual([]);
  });

  it.concurrent("the program's own listener decides", async () => {
    const scene = await begin({ listens: true, serving: { onUncaught: false } });
    const reply = fail(scene, "setTimeout");
    await scene.program.saying("heard");
    expect(await send(scene.url)).toMatchObject({ status: 200 });
    scene.program.child.kill("SIGTERM");
    const ended = await scene.end();
    expect(ended).toMatchObject({ slow: SLOW, stream: STREAM, exit: 1 }); // by force: one was never answered
    expect(await reply).toMatchObject({ status: 0, error: "ECONNRESET" });
  });
});

describe("a handler of an upgraded connection that fails", () => {
  const ways: [string, RegExp][] = [
    ["at once", /^$/],
    ["timer", /^HTTP\/1.1 101 [^\r]+\r\n([^\r]+\r\n)*\r\n$/],
    ["message", /^HTTP\/1.1 101 [^\r]+\r\n([^\r]+\r\n)*\r\n$/],
    ["rejection", /^HTTP\/1.1 101 [^\r]+\r\n([^\r]+\r\n)*\r\n$/],
    ["close", /^HTTP\/1.1 101 [^\r]+\r\n([^\r]+\r\n)*\r\n$/],
  ];
  it.concurrent.each(ways)("ends its own connection only: %s", async (name, expected) => {
    const scene = await begin({ upgrades: true });
    const echo = upgrade(scene, "echo");
    await echo.until(/\r\n\r\n/);
    const failing = upgrade(scene, name);
    if (name !== "at once") await failing.until(/\r\n\r\n/);
    if (name === "close") failing.socket.destroy();
    else failing.socket.write("hello");
    expect(await failing.closed).toMatch(expected);
    await new Promise((resolve) => setTimeout(resolve, 20));
    echo.socket.write("still here");
    await echo.until(/\r\n\r\nstill here$/);
    echo.socket.end();
    const ended = await scene.end();
    expect(errorsOf(scene)).toMatchObject([
      { by: "serve", message: expect.stringMatching("upgraded"), error: { message: `boom ${name}` } },
    ]);
    expectDrained(scene, ended);
  });
});

/** A client that sends an upgrade request. */
function upgrade(scene: Scene, name: string) {
  const socket = net.connect(portOf(scene), "127.0.0.1").setEncoding("latin1");
  socket.write(
    `GET /${encodeURIComponent(name)} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`,
  );
  let text = "";
  socket.on("data", (chunk: string) => {
    text += chunk;
  });
  socket.on("error", () => {});
  return {
    socket,
    closed: new Promise<string>((resolve) => socket.on("close", () => resolve(text))),
    until: async (pattern: RegExp) => {
      while (!pattern.test(text)) await new Promise((resolve) => setTimeout(resolve, 2));
    },
  };
}

describe("over HTTP/2", () => {
  const ways: [string, Fate, Way?][] = [
    ["setTimeout", "answered"],
    ["nextTick", "answered"],
    ["rejection at once", "answered"],
    ["res.write callback", "no request"],
    ["timer after res.write", "truncated"],
    ["res.end callback", "over"],
    ["res finish", "over"],
    ["res close", "over"],
    ["timer after the answer", "over"],
    ["req data", "answered", "upload"],
    ["req end", "answered", "upload"],
    ["req readable", "answered", "upload"],
    ["after json", "answered", "upload"],
    ["req aborted", "over", "leave"],
    ["req close", "over", "leave"],
    ["res close when the client leaves", "over", "leave"],
    ["shared emitter", "no request"],
  ];
  it.concurrent.each(ways)("%s: %s", async (name, fate, way = "get") => {
    const scene = await beginHttp2(fate === "no request" ? {} : PATIENT);
    const { program, session, goaway } = scene;
    const reply = await failHttp2(scene, name, way);
    expect(await goaway).toBe(0);
    const late = await stream(session, "/");
    const victims = await Promise.all(scene.victims);
    const exit = await program.exit;

    const { id } = program.said.find(({ started }) => started === name);
    expectLogged(scene, name, fate);
    const expected = {
      answered: { status: 500, code: 0, body: expect.stringContaining(id) },
      truncated: { status: 200, code: 2 },
      over: way === "get" ? { status: 200, code: 0, body: "whole" } : { status: 0 },
      "no request": { code: 2 },
    };
    expect(reply).toMatchObject(expected[fate]);
    expect(reply.headers.connection).toBe(undefined);
    expect(late).toMatchObject({ status: 0, code: 7 });
    expect(victims).toMatchObject([
      { status: 200, code: 0, body: SLOW.body },
      { status: 200, code: 0, body: STREAM.body },
    ]);
    const lines = program.all("request"); // one for each request, none for the one that was refused
    expect(lines).toHaveLength(3);
    if (fate === "over") {
      const line = lines.find(({ requestId }) => requestId === id);
      expect(line.status).toBe(way === "get" ? 200 : 499);
      expect(program.all("record").map(({ message }) => message)).toContain("closed"); // and not by force
    }
    expect(exit).toBe(1);
    expect(program.all("exit")[0].afterLoopMs).toBeLessThan(2_000); // keep-alive alone would take longer
    expect(program.stderr()).toBe("");
  });
});

it.concurrent("a truncated response is not taken for complete even where only the connection's end delimits it", async () => {
  const scene = await begin({ errors: "none" });
  const reply = await raw(portOf(scene), "GET /throw/timer%20after%20res.write HTTP/1.0\r\n\r\n", 2_000);
  const ended = await scene.end();
  expect(reply.end).toBe("reset");
  expectDrained(scene, ended);
});

it.concurrent("an error after a timeout is passed to onLate, and logged once", async () => {
  const scene = await begin({ timeoutMs: 20 });
  const reply = await fail(scene, "late");
  const ended = await scene.end();
  expect(reply).toMatchObject({ status: 503, complete: true });
  const id = idOf(scene, "late");
  expect(scene.program.all("late")).toEqual([{ message: "boom late", id }]);
  expect(errorsOf(scene)).toMatchObject([{ by: "serve", requestId: id, error: { message: "boom late" } }]);
  expectDrained(scene, ended);
});

it.concurrent("the program's own listeners are called as well, the monitor first", async () => {
  const scene = await begin({ listens: true });
  await fail(scene, "setTimeout");
  const ended = await scene.end();
  const message = "boom setTimeout";
  expect(scene.program.all("heard")).toEqual([
    { by: "monitor", message, listening: true },
    { by: "before", message, listening: true },
    { by: "after", message, listening: false },
  ]);
  expectLogged(scene, "setTimeout", "answered");
  expectDrained(scene, ended);
});

it.concurrent("over TLS, a response that had begun is truncated so that the client sees it", async () => {
  const tls = await certificate();
  const program = start("uncaught-app.mjs", [JSON.stringify({ serving: { tls } })]);
  const url = await program.saying("url");
  const reply = await send(`${url}/throw/res.write%20callback`, { rejectUnauthorized: false });
  expect(reply).toMatchObject({ status: 200, complete: false, error: "ECONNRESET" });
  expect(await program.exit).toBe(1);
});

it.concurrent("with a second copy that serves too, an error is logged once, and neither server loses a response", async () => {
  const scene = await begin({ second: ["another server"] });
  const another = await scene.program.saying("another");
  const victim = send(`${another}/slow`);
  while (scene.program.all("started").length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  const reply = await fail(scene, "setTimeout");
  const ended = await scene.end();
  expect(reply).toMatchObject(ANSWERED);
  expect(await victim).toMatchObject(SLOW);
  expectLogged(scene, "setTimeout", "answered");
  expectDrained(scene, ended);
  expect(scene.program.all("exit")[0].listeners).toEqual([1, 1, 1]); // for both
});
