import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServeOptions, serve } from "../../src/serve/index.js";
import { until } from "../support/server.js";
import { begin, closeAll, resources, TRANSPORTS, Wire } from "./support.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "portico-"));
});
afterEach(async () => {
  await closeAll();
  rmSync(folder, { recursive: true, force: true });
});

const QUIET: ServeOptions = { signals: false, onUncaught: false, host: "127.0.0.1" };

describe("an address that cannot be listened on is reported in a sentence, with the system's code", () => {
  async function failure(options: ServeOptions) {
    const servers = () => resources().filter((kind) => /Server|PipeWrap/.test(kind)).length;
    const before = servers();
    const listeners = process.listenerCount("SIGTERM");
    const error = await serve(() => {}, { ...options }).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error,
    );
    await until(() => servers() <= before); // its handle is closed, possibly later
    expect(process.listenerCount("SIGTERM")).toBe(listeners);
    expect(error?.cause).toMatchObject({ code: error!.code });
    return { code: error!.code, message: error!.message };
  }

  it.each(TRANSPORTS)("a port that is in use (%s)", async (transport) => {
    const first = await begin(transport);
    expect(await failure({ ...QUIET, port: first.port })).toEqual({
      code: "EADDRINUSE",
      message: `serve(): cannot listen on 127.0.0.1:${first.port}: it is in use. End the program that listens there, or choose another (0 takes any free port)`,
    });
    await (await first.wire()).get("/").heard("200 OK");
  });

  it("a port on all addresses", async () => {
    const { served } = await begin("http", { host: undefined });
    const port = (served.server.address() as net.AddressInfo).port;
    expect((await failure({ signals: false, onUncaught: false, port })).message).toContain(
      `cannot listen on port ${port}: it is in use`,
    );
  });

  it("an address that this machine does not have", async () => {
    expect(await failure({ ...QUIET, port: 0, host: "192.0.2.1" })).toEqual({
      code: "EADDRNOTAVAIL",
      message:
        "serve(): cannot listen on 192.0.2.1:0: this machine has no such address. Leave host out to listen on all",
    });
  });

  it("a name that does not exist", async () => {
    const { code, message } = await failure({ ...QUIET, port: 0, host: "no-such-host.invalid" });
    expect(["ENOTFOUND", "EAI_AGAIN"]).toContain(code);
    expect(message).toMatch(/^serve\(\): cannot listen on no-such-host.invalid:0: /);
  });

  it("a port that needs privileges", async () => {
    // As root every port is allowed, so the system's error is simulated.
    const listen = jest.spyOn(net.Server.prototype, "listen").mockImplementation(function (this: net.Server) {
      const error = Object.assign(new Error("listen EACCES: permission denied"), { code: "EACCES" });
      process.nextTick(() => this.emit("error", error));
      return this;
    });
    const refused = await failure({ ...QUIET, port: 80 });
    listen.mockRestore();
    expect(refused).toEqual({
      code: "EACCES",
      message:
        "serve(): cannot listen on 127.0.0.1:80: the system does not allow it. Ports below 1024 need privileges: choose another",
    });
  });

  it("a Unix socket that another server uses", async () => {
    const port = join(folder, "app.sock");
    await begin("http", { port, host: undefined });
    expect(await failure({ signals: false, onUncaught: false, port })).toEqual({
      code: "EADDRINUSE",
      message: `serve(): cannot listen on ${port}: it is in use. End the program that listens there, or delete the file if none is left that uses it`,
    });
    await (await Wire.to(port)).get("/").heard("200 OK");
  });

  it("a Unix socket in a directory that is not there", async () => {
    const port = join(folder, "missing", "app.sock");
    const { code, message } = await failure({ signals: false, onUncaught: false, port });
    expect(code).toBe("EACCES"); // Node's code for it
    expect(message).toContain("its directory does not exist, or this user may not write to it");
  });
});

describe("the url", () => {
  it.each<[string, ServeOptions, RegExp]>([
    ["loopback", { host: "127.0.0.1" }, /^http:\/\/127\.0\.0\.1:\d+$/],
    ["all addresses", { host: undefined }, /^http:\/\/localhost:\d+$/],
    ["all of IPv4", { host: "0.0.0.0" }, /^http:\/\/localhost:\d+$/],
    ["a name", { host: "localhost" }, /^http:\/\/(?:127\.0\.0\.1|\[::1\]):\d+$/],
    ["digits for the port", { port: "0" }, /^http:\/\/127\.0\.0\.1:\d+$/],
  ])("%s", async (_what, options, url) => {
    const { served } = await begin("http", options);
    expect(served.url).toMatch(url);
    expect(served.workers).toEqual([]);
    const body = await fetch(`${served.url}/here`).then((response) => response.text());
    expect(body).toBe("/here");
  });

  it.each(["https", "http2"] as const)("%s", async (transport) => {
    const { served } = await begin(transport);
    expect(served.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  });

  const hasIPv6 = Object.values(
    require("node:os").networkInterfaces() as Record<string, { family: string }[]>,
  ).some((list) => list.some(({ family }) => family === "IPv6"));
  const tryIPv6 = hasIPv6 || process.env.CI === "true";
  (tryIPv6 ? it : it.skip)(tryIPv6 ? "IPv6" : "SKIPPED IPv6: this machine has no such address", async () => {
    const { served } = await begin("http", { host: "::1" });
    expect(served.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
  });
});

describe("a Unix socket", () => {
  it("is served, and its file is gone after the close", async () => {
    const port = join(folder, "app.sock");
    const { served, held } = await begin("http", { port, host: undefined });
    expect(served.url).toBe(`unix:${port}`);
    expect(statSync(port).isSocket()).toBe(true);
    const [idle, busy] = await Promise.all([Wire.to(port), Wire.to(port)]);
    await idle.get("/over/it").heard("/over/it");
    busy.get("/hold/1");
    const res = await held("/hold/1");
    const closed = served.close();
    await idle.get("/race").heard("/race");
    expect(idle.answers().map(({ headers }) => headers.connection)).toEqual(["keep-alive", "close"]);
    res.send("whole");
    await busy.heard("whole");
    expect((await closed).forced).toBe(false);
    expect(existsSync(port)).toBe(false);
  });

  it("replaces a file that a killed program has left", async () => {
    const port = join(folder, "app.sock");
    const program = `require("net").createServer().listen(${JSON.stringify(port)}, () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", program]);
    expect(statSync(port).isSocket()).toBe(true);
    await begin("http", { port, host: undefined });
    await (await Wire.to(port)).get("/").heard("200 OK");
  });

  it("does not replace a file that is no socket", async () => {
    const port = join(folder, "app.sock");
    writeFileSync(port, "precious");
    await expect(begin("http", { port, host: undefined })).rejects.toMatchObject({ code: "EADDRINUSE" });
    expect(readFileSync(port, "utf8")).toBe("precious");
  });

  it("is reset at the deadline like any other connection", async () => {
    const port = join(folder, "app.sock");
    const { served, held } = await begin("http", {
      port,
      host: undefined,
      drain: { idleGraceMs: 5, deadlineMs: 30 },
    });
    const client = await Wire.to(port);
    client.get("/hold/1");
    await held("/hold/1");
    expect((await served.close()).forced).toBe(true);
    await client.ended();
    expect(client.text).toBe("");
  });

  it("with TLS: handshakes that stop half-way are recognized, and end after the grace", async () => {
    const port = join(folder, "app.sock");
    const { served } = await begin("https", {
      port,
      host: undefined,
      drain: { idleGraceMs: 20, deadlineMs: 3_000 },
    });
    const half = await Promise.all([Wire.to(port), Wire.to(port)]);
    const whole = await Wire.to(port, true);
    await whole.get("/").heard("200 OK");
    const { durationMs, forced } = await served.close();
    expect([forced, durationMs < 1_000]).toEqual([false, true]);
    await Promise.all([...half, whole].map((wire) => wire.ended()));
  });
});

it("the server is Node's own, and listeners can be added", async () => {
  const { served, wire } = await begin("http");
  expect(served.server).toBeInstanceOf(http.Server);
  const seen: string[] = [];
  served.server.on("request", (req: http.IncomingMessage) => void seen.push(req.url!));
  await (await wire()).get("/both").heard("/both");
  expect(seen).toEqual(["/both"]);
});

it("an error of the listening server is logged, and ends nothing", async () => {
  const { served, log, wire } = await begin("http");
  served.server.emit("error", Object.assign(new Error("accept ENFILE"), { code: "ENFILE" }));
  expect(log).toEqual([
    {
      level: "error",
      message: "the server failed",
      fields: { error: expect.objectContaining({ message: "accept ENFILE" }) },
    },
  ]);
  await (await wire()).get("/").heard("200 OK");
});

it("several servers in one process are independent", async () => {
  const [one, two] = await Promise.all([begin("http"), begin("https")]);
  await one.served.close();
  await (await two.wire()).get("/").heard("200 OK");
});
