import { once } from "node:events";
import { io, type Socket } from "socket.io-client";
import { WebSocket } from "ws";
import { until } from "../support/server.js";
import { ask, buildApp, endPrograms, type Program, removePrograms, startProgram } from "./support.js";

const ORIGIN = "https://app.example";

afterEach(endPrograms);
afterAll(removePrograms);

const start = (mode: string): Promise<Program> =>
  startProgram(buildApp("nestjs-gateways"), { env: { MODE: mode } });

const printed = (program: Program, text: string): number =>
  program.lines.filter(({ gateway }) => gateway === text).length;

describe("NestJS gateways on ws, by docs/integrations/nestjs-gateways.ts", () => {
  const open = (program: Program, headers: Record<string, string> = {}) =>
    new WebSocket(`${program.url.replace("http", "ws")}/chat`, { headers: { Origin: ORIGIN, ...headers } });

  async function say(
    socket: WebSocket,
    event: string,
    data?: string,
  ): Promise<{ event: string; data: unknown }> {
    socket.send(JSON.stringify({ event, data }));
    const [text] = await once(socket, "message");
    return JSON.parse(String(text));
  }

  /** The status of the answer to a handshake that is refused. */
  async function refusal(socket: WebSocket): Promise<number> {
    socket.on("error", () => {});
    const [, response] = await once(socket, "unexpected-response");
    return response.statusCode;
  }

  it("answer messages, also after the timeout and after an exception; the socket is one record, with its route", async () => {
    const program = await start("ws");
    const socket = open(program);
    await once(socket, "open");
    expect(await say(socket, "say", "hello")).toEqual({ event: "said", data: "HELLO" });
    expect(await say(socket, "refuse")).toMatchObject({ event: "exception", data: { message: "not now" } });
    expect(await say(socket, "fail")).toMatchObject({
      event: "exception",
      data: { message: "Internal server error" },
    });
    await new Promise((resolve) => setTimeout(resolve, 400)); // the timeout is 300 ms
    expect(await say(socket, "say", "still here")).toEqual({ event: "said", data: "STILL HERE" });
    expect(program.records).toEqual([]);
    socket.close(1000);
    const record = await program.record("/chat");
    expect(record).toMatchObject({
      method: "GET",
      status: 101,
      route: "/chat",
      requestId: expect.any(String),
    });
    expect(record.aborted).toBeUndefined();
    expect(record.timedOut).toBeUndefined();
    expect(record.durationMs).toBeGreaterThan(400);
    await until(() => printed(program, "disconnected") === 1);
  });

  it("are behind the middleware: a handshake for another host, or of another origin, is refused and logged", async () => {
    const program = await start("ws");
    expect(await refusal(open(program, { Host: "evil.example" }))).toBe(421);
    await until(() => program.records.length === 1);
    expect(program.records[0]).toMatchObject({
      status: 421,
      refused: { by: "allowedHosts", reason: "not-listed" },
    });
    expect(await refusal(open(program, { Origin: "https://evil.example" }))).toBe(401); // by verifyClient
    await until(() => program.records.length === 2);
    expect(program.records[1]).toMatchObject({ status: 401, route: "/chat" });
    expect(printed(program, "connected")).toBe(0);
  });

  it("leave requests that are no handshake to the other routes", async () => {
    const program = await start("ws");
    const missing = await ask(`${program.url}/chat`);
    expect([missing.status, JSON.parse(missing.text).detail]).toEqual([404, "Cannot GET /chat"]);
    expect((await ask(program.url)).text).toBe("the page");
  });

  it("close their sockets when the server begins to close, long before the deadline; then Nest's hooks run", async () => {
    const program = await start("ws");
    const sockets = [open(program), open(program)];
    await Promise.all(sockets.map((socket) => once(socket, "open")));
    const closed = Promise.all(sockets.map((socket) => once(socket, "close")));
    const exit = await program.end();
    expect((await closed).map(([code, reason]) => [code, String(reason)])).toEqual([
      [1001, "The server is closing"],
      [1001, "The server is closing"],
    ]);
    expect(exit).toEqual({ code: 0, signal: null });
    expect(program.lines.find(({ message }) => message === "closed")).toMatchObject({ forced: false });
    const order = program.lines.flatMap(({ hook, gateway }) => hook ?? gateway ?? []);
    expect(order).toEqual(["connected", "connected", "disconnected", "disconnected", "onModuleDestroy"]);
    expect(program.records.map(({ status }) => status)).toEqual([101, 101]);
  });
});

describe("NestJS gateways on socket.io, by docs/integrations/nestjs-gateways.ts", () => {
  const clients: Socket[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.disconnect();
  });

  async function connect(program: Program, transport: string): Promise<Socket> {
    const client = io(program.url, { transports: [transport], reconnection: false, forceNew: true });
    clients.push(client);
    await until(() => client.connected);
    return client;
  }

  async function say(client: Socket, event: string, data?: string, answer = "said"): Promise<unknown> {
    const answered = new Promise((resolve) => client.once(answer, resolve));
    client.emit(event, data);
    return answered;
  }

  it.each([
    ["websocket", 101],
    ["polling", 200],
  ])("answer messages by %s, also after the timeout; its requests are in the log with %i", async (transport, status) => {
    const program = await start("socket.io");
    const client = await connect(program, transport);
    expect(await say(client, "say", "hello")).toBe("HELLO");
    expect(await say(client, "refuse", "", "exception")).toMatchObject({ message: "not now" });
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await say(client, "say", "still here")).toBe("STILL HERE");
    client.disconnect();
    await until(() => program.records.some((record) => record.status === status));
    await until(() => printed(program, "disconnected") === 1);
    for (const record of program.records) {
      expect(record).toMatchObject({ status, path: "/socket.io/", requestId: expect.any(String) });
      expect(record.timedOut).toBeUndefined();
    }
    expect((await ask(program.url)).text).toBe("the page");
  });

  it.each([
    "websocket",
    "polling",
  ])("disconnect a client by %s when the server begins to close; then Nest's hooks run", async (transport) => {
    const program = await start("socket.io");
    const client = await connect(program, transport);
    await until(() => printed(program, "connected") === 1);
    const gone = new Promise((resolve) => client.once("disconnect", resolve));
    const exit = await program.end();
    expect(await gone).toBe("io server disconnect");
    expect(exit).toEqual({ code: 0, signal: null });
    expect(program.lines.find(({ message }) => message === "closed")).toMatchObject({ forced: false });
    expect(program.lines.filter(({ hook }) => hook !== undefined)).toHaveLength(1);
  });
});
