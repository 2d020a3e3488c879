import { until } from "../support/server.js";
import {
  ask,
  buildApp,
  endPrograms,
  hold,
  type Program,
  type Reply,
  removePrograms,
  startProgram,
  stream,
} from "./support.js";

const ORIGIN = { Origin: "https://app.example" };

afterAll(async () => {
  await endPrograms();
  removePrograms();
});

describe.each([
  ["with docs/integrations/nestjs.ts", "start"],
  ["as Nest's documents write it, with serve", "plain"],
])("NestJS %s", (_how, mode) => {
  const ours = mode === "start";
  let program: Program;
  let never: Promise<Reply>;
  beforeAll(async () => {
    program = await startProgram(buildApp("nestjs"), { env: { MODE: mode } });
    never = hold(ask(`${program.url}/orders/never`, { headers: ORIGIN })); // its two seconds pass beside the other tests
  });

  /** The body for a refusal or an error: problem details by recover, or Nest's own. */
  const body = (status: number, title: string, detail: string) =>
    ours ? { status, title, detail } : { statusCode: status, message: detail };

  it.each<[string, number, unknown, string | undefined]>([
    ["/orders/1", 200, { id: 1 }, "/orders/:id"],
    [
      "/orders/x",
      400,
      body(400, "Bad Request", "Validation failed (numeric string is expected)"),
      "/orders/:id",
    ],
    ["/orders/missing", 404, body(404, "Not Found", "There is no such order."), "/orders/missing"],
    ["/orders/forbidden", 403, body(403, "Forbidden", "Forbidden"), "/orders/forbidden"],
    [
      "/orders/broken",
      500,
      ours
        ? body(500, "Internal Server Error", "The server could not complete the request.")
        : body(500, "", "Internal server error"),
      "/orders/broken",
    ],
    ["/nowhere", 404, body(404, "Not Found", "Cannot GET /nowhere"), undefined],
    [
      "/orders/never",
      503,
      { status: 503, title: "Service Unavailable", detail: "The server did not answer in time." },
      "/orders/never",
    ],
  ])("%s is answered with %i, once, with our headers, and is one record with its route", async (path, status, expected, route) => {
    const reply = await (path === "/orders/never" ? never : ask(program.url + path, { headers: ORIGIN }));
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.text)).toMatchObject(expected as object);
    expect(Object.fromEntries(reply.headers)).toMatchObject({
      "access-control-allow-origin": "https://app.example",
      "access-control-allow-credentials": "true",
      vary: "Origin, Accept-Encoding",
      "x-content-type-options": "nosniff",
      "x-request-id": expect.stringMatching(/^[\w-]{36}$/),
    });
    expect(reply.headers.has("x-powered-by")).toBe(false);
    const record = await program.record(path);
    expect(record).toMatchObject({ status, method: "GET", requestId: reply.headers.get("x-request-id") });
    expect(record.route).toBe(route);
  });

  it("the log of a 500 has the error if it comes to recover; Nest prints its own otherwise", async () => {
    expect((await program.record("/orders/broken")).error?.message).toBe(
      ours ? "the database is gone" : undefined,
    );
    expect(program.text.includes("[ExceptionsHandler]")).toBe(!ours);
    expect(program.lines.filter(({ message }) => /the database is gone/.test(message))).toHaveLength(
      ours ? 1 : 0,
    );
  });

  it("what ValidationPipe finds is in the answer; the message of a 500 is not, unless Nest answers", async () => {
    const invalid = await ask(`${program.url}/orders/invalid`);
    expect(invalid.status).toBe(400);
    expect(JSON.parse(invalid.text)).toMatchObject({
      [ours ? "errors" : "message"]: ["amount must be positive"],
    });
    const internal = await ask(`${program.url}/orders/internal`);
    expect(internal.status).toBe(500);
    expect(internal.text.includes("secret")).toBe(!ours);
  });

  it("a response that fails half-way is truncated if the error comes to recover; Nest ends it as if it were whole", async () => {
    const whole = ask(`${program.url}/orders/half`).then(
      () => true,
      () => false,
    );
    expect(await whole).toBe(!ours);
    expect((await program.record("/orders/half")).error?.message).toBe(ours ? "gone half-way" : undefined);
  });

  it("a preflight gets each header once, and a forged request a 403 from csrf", async () => {
    const preflight = await ask(`${program.url}/orders`, {
      method: "OPTIONS",
      headers: { ...ORIGIN, "Access-Control-Request-Method": "DELETE" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(preflight.headers.get("access-control-allow-methods")).toContain("DELETE");
    const forged = await ask(`${program.url}/orders`, {
      method: "POST",
      headers: { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" },
    });
    expect(forged.status).toBe(403);
    await until(() => program.records.some(({ refused }) => refused?.by === "csrf"));
  });

  it("a body comes through Nest's parser, a longer one than bodyLimit allows is a 413, invalid JSON a 400", async () => {
    const post = (text: string) =>
      ask(`${program.url}/orders`, {
        method: "POST",
        headers: { ...ORIGIN, "Content-Type": "application/json" },
        body: text,
      });
    const created = await post('{"amount":3}');
    expect([created.status, JSON.parse(created.text)]).toEqual([201, { created: { amount: 3 } }]);
    const long = await post(JSON.stringify({ text: "x".repeat(2_000) }));
    expect([long.status, JSON.parse(long.text).title]).toEqual([413, "Payload Too Large"]);
    expect(long.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect((await post("{")).status).toBe(400);
    await until(() => program.records.filter(({ method }) => method === "POST").length === 4);
    expect(program.records.filter(({ method }) => method === "POST").map(({ status }) => status)).toEqual([
      403, 201, 413, 400,
    ]);
  });

  it("a text is compressed, and answered with 304 to its ETag", async () => {
    const text = await ask(`${program.url}/orders/text`);
    expect(text.headers.get("content-encoding")).toBe("gzip");
    expect(text.text).toHaveLength(4_000);
    const again = await stream(`${program.url}/orders/text`, {
      "Accept-Encoding": "gzip",
      "If-None-Match": text.headers.get("etag")!,
    });
    expect(again.status).toBe(304);
  });

  it("events of @Sse arrive one by one, also after the timeout; its log record is written when the client leaves", async () => {
    const events = await stream(`${program.url}/orders/ticks`);
    expect(events.status).toBe(200);
    await until(() => events.text.includes('{"tick":1}'));
    expect(events.text).not.toContain('{"tick":2}');
    await until(() => events.text.includes('{"tick":2}'));
    expect(program.records.some(({ path }) => path === "/orders/ticks")).toBe(false);
    events.leave();
    expect(await program.record("/orders/ticks")).toMatchObject({
      status: 200,
      route: "/orders/ticks",
      aborted: true,
    });
    await until(() => program.lines.some(({ left }) => left === "ticks"));
  });

  it("SIGTERM: the request under way is answered, then Nest's hooks run, and the process ends with 0", async () => {
    const last = hold(ask(`${program.url}/orders/last`));
    await until(() => program.lines.some(({ waiting }) => waiting === "/orders/last"));
    const exit = await program.end();
    expect(await last).toMatchObject({ status: 200, text: "the last one" });
    expect(exit).toMatchObject({ code: 0, signal: null });
    const order = program.lines.flatMap(({ hook, path, status }) =>
      hook !== undefined ? [hook] : path === "/orders/last" ? [status] : [],
    );
    // Nest's own shutdown hooks do not wait for responses.
    expect(order).toEqual(ours ? [200, "onModuleDestroy"] : ["onModuleDestroy", 200]);
    expect(program.lines.find(({ message }) => message === "closed")).toMatchObject({ forced: false });
  });
});
