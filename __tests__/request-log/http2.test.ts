import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { requestLog } from "../../src/request-log/index.js";
import { until } from "../support/server.js";
import { memoryStream } from "./memory.js";

const HANDLERS: Record<string, (res: http2.Http2ServerResponse) => void> = {
  "/whole": (res) => res.end("hello"),
  "/head": (res) => res.writeHead(201, { "x-a": "1" }).end("xx"),
  "/middle": (res) => res.write("abc"),
  "/never": () => {},
  "/fault": (res) => res.stream.destroy(new RangeError("own")),
};

describe("requestLog on HTTP/2 without Express", () => {
  const stream = memoryStream();
  const log = requestLog({ stream, format: "json", serverTiming: true });
  let client: http2.ClientHttp2Session;
  const server = http2.createServer((req, res) => {
    log(req as never, res as never, () => HANDLERS[req.url]!(res));
    if (req.url === "/never") client.emit("arrived");
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    client.on("error", () => {});
  });
  afterAll(async () => {
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  async function entryFor(path: string, leaveAt?: "data" | "arrived") {
    stream.lines.length = 0;
    const request = client.request({ ":path": path });
    request.on("error", () => {});
    const leave = () => request.close(http2.constants.NGHTTP2_CANCEL);
    if (leaveAt === "data") request.once("data", leave);
    else request.resume();
    if (leaveAt === "arrived") client.once("arrived", leave);
    await until(() => stream.lines.length > 0);
    return stream.entries[0];
  }

  it.each([
    ["/whole", 200, 5],
    ["/head", 201, 2],
  ])("%s is logged with its status and bytes", async (path, status, responseBytes) => {
    const entry = await entryFor(path);
    expect(entry).toMatchObject({
      path,
      status,
      responseBytes,
      httpVersion: "2.0",
      remoteAddress: "127.0.0.1",
    });
    expect(entry).not.toHaveProperty("aborted");
  });

  it("a stream that the client cancels is logged as aborted, before the head and after it", async () => {
    expect(await entryFor("/never", "arrived")).toMatchObject({ status: 499, aborted: true });
    expect(await entryFor("/middle", "data")).toMatchObject({ status: 200, aborted: true, responseBytes: 3 });
  });

  it("a method that a client has made up is shortened like a path", async () => {
    const request = client.request({ ":path": "/whole", ":method": "X".repeat(3_000) });
    stream.lines.length = 0;
    request.on("error", () => {}).resume();
    await until(() => stream.lines.length > 0);
    expect(stream.entries[0]!.method).toBe(`${"X".repeat(1_024)}\u2026`);
  });

  it.each([
    "ecs",
    "otel",
  ] as const)("in schema %s the authority goes before a Host beside it", async (schema) => {
    const records = memoryStream();
    const inSchema = requestLog({ stream: records, schema });
    server.once("request", (req, res) => inSchema(req as never, res as never, () => {}));
    const request = client.request({ ":path": "/whole", ":authority": "real.example:81", host: "b.example" });
    request.on("error", () => {}).resume();
    await until(() => records.lines.length > 0);
    const host = schema === "ecs" ? ["url.domain", "url.port"] : ["server.address", "server.port"];
    const record = records.entries[0] as unknown as Record<string, unknown>;
    expect(host.map((name) => record[name])).toEqual(["real.example", 81]);
  });

  it("a fault of the server is not logged as a client that left", async () => {
    const entry = await entryFor("/fault");
    expect(entry).toMatchObject({ status: 500, error: { type: "RangeError", message: "own" } });
    expect(entry).not.toHaveProperty("aborted");
  });
});
