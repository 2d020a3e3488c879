import { createReadStream, readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { pipeline as piped } from "node:stream/promises";
import type { RequestHandler } from "express";
import { compress, recover, requestContext, requestLog } from "../../../src/index.js";
import { http2ServerOptions } from "../../../src/serve/http2/bridge.js";
import { expressVersions } from "../../support/express.js";
import { closeHttp2, listenHttp2 } from "../../support/http2.js";
import { CODE, closeFrameClients, FrameClient, request, TYPE } from "../../support/http2-frames.js";
import { until } from "../../support/server.js";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reset-downloads-"));
  file = join(folder, "big.txt");
  await writeFile(file, "0123456789abcdef".repeat(64 * 1024)); // more than any window
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(async () => {
  await closeFrameClients();
  await closeHttp2();
});

/** How often this process has the file open. */
function openFiles(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false; // closed meanwhile
    }
  }).length;
}

type Download = (done: () => void) => RequestHandler;
/** Each calls `done` when it has detected the end. */
const downloads: Record<string, Download> = {
  sendFile: (done) => (_req, res) => res.sendFile(file, done),
  download: (done) => (_req, res) => res.download(file, done),
  pipeline: (done) => (_req, res) => void pipeline(createReadStream(file), res, done),
  "awaited pipeline": (done) => (_req, res) => void piped(createReadStream(file), res).then(done, done),
};

type Leave = (client: FrameClient, streams: readonly number[]) => void;
const leaves: [string, Leave][] = [
  [
    "RST_STREAM",
    (client, streams) => {
      for (const stream of streams) client.reset(stream);
    },
  ],
  [
    "RST_STREAM with NO_ERROR",
    (client, streams) => {
      for (const stream of streams) client.reset(stream, CODE.noError);
    },
  ],
  ["a GOAWAY with an error", (client) => client.goaway(CODE.protocolError)],
  ["the end of the connection", (client) => client.socket.destroy()],
];

const STREAMS = Array.from({ length: 40 }, (_, i) => 2 * i + 1);

describe.each(expressVersions)("a file over HTTP/2 whose client leaves, with %s", (_version, express) => {
  function filesApp() {
    const app = express();
    app.set("env", "test");
    let asked = 0;
    let done = 0;
    const heard = () => void done++;
    app.use((req, res, next) => {
      asked++;
      if (req.path.startsWith("/late")) res.on("close", () => next());
      else if (req.path.startsWith("/aborted")) req.on("aborted", () => next());
      else next();
    });
    app.use("/stacked", requestContext(), requestLog({ format: () => undefined }), compress());
    app.use(["/static", "/late/static", "/stacked/static"], express.static(folder));
    for (const [name, download] of Object.entries(downloads)) {
      const path = `/${name.replace(" ", "-")}`;
      app.use([path, `/late${path}`, `/aborted${path}`, `/stacked${path}`], download(heard));
    }
    app.use(recover({ logger: { debug() {}, info() {}, warn() {}, error() {} } }));
    return { app, asked: () => asked, done: () => done };
  }

  async function listening() {
    const it = filesApp();
    const { port, server } = await listenHttp2(it.app, http2ServerOptions(it.app));
    return { ...it, port, server };
  }

  const paths = ["/static/big.txt", "/stacked/static/big.txt"];
  for (const name of Object.keys(downloads)) {
    paths.push(`/${name.replace(" ", "-")}`, `/stacked/${name.replace(" ", "-")}`);
  }
  describe.each(leaves)("by %s", (how, leave) => {
    it.each(paths)("%s has no file open afterwards, and its callback is called", async (path) => {
      const { port, asked, done } = await listening();
      const client = await FrameClient.connect(port);
      const isByStream = how.startsWith("RST_STREAM");
      client.batch(() => {
        for (const stream of STREAMS) client.headers(stream, request("GET", path), { endStream: true });
        if (isByStream) leave(client, STREAMS.slice(0, 10)); // at once
      });
      await until(() => client.closed || client.received.some(({ type }) => type === TYPE.data));
      leave(client, STREAMS);
      await until(() => openFiles() === 0);
      if (!path.includes("static")) await until(() => done() === asked());
      await client.close();
      await until(() => openFiles() === 0);
      expect(asked()).toBeGreaterThan(0);
    });
  });

  it.each([
    "/late/static/big.txt",
    "/late/sendFile",
    "/late/download",
    // From Node 24 on, a pipeline into any closed stream throws and leaves the source to its caller.
    ...(Number.parseInt(process.versions.node, 10) < 24 ? ["/late/pipeline", "/late/awaited-pipeline"] : []),
    "/aborted/sendFile",
    "/aborted/download",
    "/aborted/pipeline",
    "/aborted/awaited-pipeline",
  ])("that is sent only after that: %s has no file open afterwards, and its callback is called", async (path) => {
    const { port, asked, done } = await listening();
    const client = await FrameClient.connect(port);
    for (const stream of STREAMS) client.headers(stream, request("POST", path));
    await until(() => asked() === STREAMS.length);
    for (const stream of STREAMS) client.reset(stream);
    await client.caughtUp();
    if (!path.includes("static")) await until(() => done() === STREAMS.length);
    await until(() => openFiles() === 0);
  });
});
