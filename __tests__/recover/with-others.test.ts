import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import compression from "compression";
import express from "express";
import session from "express-session";
import request from "supertest";
import { recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw } from "../support/server.js";

let tlsServer: https.Server | undefined;
afterEach(async () => {
  tlsServer?.closeAllConnections();
  await new Promise<unknown>((resolve) =>
    tlsServer === undefined ? resolve(undefined) : tlsServer.close(resolve),
  );
  tlsServer = undefined;
  await closeServers();
});

const LONG = "x".repeat(5_000);

describe("behind compression", () => {
  const app = express();
  app.use(compression());
  app.get("/before", (_req, res) => {
    res.set({ "Content-Encoding": "gzip", "Content-Type": "text/plain" });
    throw new Error("before the head");
  });
  app.get("/after", async (_req, res) => {
    res.type("text/plain").write(LONG);
    await new Promise((resolve) => setTimeout(resolve, 5));
    throw new Error("after the head");
  });
  app.use(recover({ logger: memoryLogger() }));

  it.each([
    undefined,
    "identity",
    "gzip",
  ])("an error before the head is a readable 500 (Accept-Encoding %s)", async (encoding) => {
    const call = request(app).get("/before");
    const res = await (encoding === undefined ? call : call.set("Accept-Encoding", encoding)).expect(500);
    expect(res.body).toMatchObject({ status: 500 }); // superagent has decoded it, if it was encoded
    if (encoding === "identity") expect(res.headers).not.toHaveProperty("content-encoding");
  });

  it("an error after it truncates the response", async () => {
    const server = await listen(app);
    const { text, end } = await raw(
      server.port,
      "GET /after HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
    );
    expect(end).toBe("reset");
    expect(text).not.toContain("0\r\n\r\n");
  });
});

it("keeps the cookie of express-session on the error's answer", async () => {
  const app = express();
  app.use(session({ secret: "s", resave: false, saveUninitialized: true }));
  app.get("/", () => {
    throw new Error("no");
  });
  app.use(recover({ logger: memoryLogger() }));
  const res = await request(app).get("/").expect(500);
  expect(res.headers["set-cookie"]).toEqual([expect.stringContaining("connect.sid")]);
});

it("over TLS, a truncated response does not look complete", async () => {
  const folder = mkdtempSync(join(tmpdir(), "portico-tls-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const wanted = [
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "1",
    "-subj",
    "/CN=localhost",
    "-keyout",
    key,
    "-out",
    cert,
  ];
  execFileSync("openssl", ["req", "-x509", ...wanted], { stdio: "ignore" });
  const app = express();
  // The client must have read this part: when data and a reset arrive together, libuv reports a regular end.
  let partRead = () => {};
  app.get("/", async (_req, res) => {
    const read = new Promise<void>((resolve) => {
      partRead = resolve;
    });
    res.write("part");
    await read;
    throw new Error("half-way");
  });
  app.use(recover({ logger: memoryLogger() }));
  const server = (tlsServer = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, app));
  rmSync(folder, { recursive: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  const outcome = await new Promise<string>((resolve) => {
    const req = https.get({ port, host: "127.0.0.1", rejectUnauthorized: false }, (res) => {
      res.on("data", () => partRead());
      res.on("end", () => resolve("whole"));
      res.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
    req.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  expect(outcome).toBe("ECONNRESET");

  // HTTP/1.0 shows the end of a body only by the end of the connection, which must not be clean.
  const ended = await new Promise<string>((resolve) => {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () =>
      socket.write("GET / HTTP/1.0\r\n\r\n"),
    );
    let clean = false;
    socket.on("data", () => partRead());
    socket.on("end", () => {
      clean = true;
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("close", () => resolve(clean ? "clean" : "truncated"));
  });
  expect(["ECONNRESET", "truncated"]).toContain(ended);
});
