// Does what Node warns of on HTTP/2, once per process: run it in a process of its own.
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import express from "express";
import { bridgeHttp2 } from "../../../src/serve/http2/bridge.js";

const app = express().use((_req, res) => {
  res.statusMessage = "Mine";
  res.set({ Connection: "close", "Keep-Alive": "timeout=5" });
  res.writeHead(200, "Other", { connection: "keep-alive" });
  res.end(res.statusMessage);
});
bridgeHttp2(app);

const bare = (_req: unknown, res: http2.Http2ServerResponse) => {
  res.writeHead(200, "Other", { connection: "close" }).end("Other");
};

const server = http2.createServer();
server.on("request", (process.argv[2] === "bare" ? bare : app) as never);
server.listen(0, "127.0.0.1", () => {
  const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const stream = session.request({ ":path": "/" });
  stream.on("data", (chunk) => process.stdout.write(chunk));
  stream.on("close", () => {
    session.close();
    server.close();
  });
});
