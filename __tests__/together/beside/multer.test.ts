import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import express, { type RequestHandler } from "express";
import multer from "multer";
import {
  authenticate,
  bearer,
  contextOf,
  currentContext,
  recover,
  requestContext,
  requestLog,
  timeout,
} from "../../../src/index.js";
import { ask1 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, type TestServer, until } from "../../support/server.js";
import { captureOutput, listenToExample, quiet, stalledPost, statusOf } from "./support.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(os.tmpdir(), "portico-multer-"));
  jest.spyOn(os, "tmpdir").mockReturnValue(folder); // the folder in which the examples store files
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeServers();
  rmSync(folder, { recursive: true, force: true });
});

const files = () => readdirSync(folder);
const multipart = { "content-type": "multipart/form-data; boundary=b" };
const allowed = { authorization: "Bearer let-me-in" };

function form(content: string, field = "photo"): string {
  const disposition = `Content-Disposition: form-data; name="${field}"; filename="a.jpg"`;
  return `--b\r\n${disposition}\r\n\r\n${content}\r\n--b--\r\n`;
}

const upload = (server: TestServer, body: string, headers: Record<string, string> = {}) =>
  ask1(server.url, "/photos", {
    method: "POST",
    headers: { ...multipart, "content-length": String(Buffer.byteLength(body)), ...headers },
    body,
  });

const nobody = () => authenticate(bearer({ verify: () => false }));
const take = (limits: multer.Options["limits"] = {}): RequestHandler =>
  multer({ dest: folder, limits }).single("photo");

function appOf(...handlers: RequestHandler[]): express.Express {
  const app = express();
  app.post("/photos", ...handlers, (req, res) => void res.status(201).json(req.file?.size));
  app.use(recover({ logger: quiet }));
  return app;
}

describe("the examples", () => {
  beforeEach(() => void captureOutput());

  it.each([
    ["a file", form("x".repeat(2_000)), {}, 201],
    ["a wrong token", form("x"), { authorization: "Bearer wrong" }, 401],
    ["a file over the limit", form("x".repeat(5_000_001)), {}, 413],
    ["another field", form("x", "other"), {}, 400],
    ["a truncated body", form("x").slice(0, -8), {}, 400],
    ["no boundary", form("x"), { "content-type": "multipart/form-data" }, 400],
  ])("%s", async (_name, body, headers, status) => {
    const server = await listenToExample("multer");
    const answer = await upload(server, body, { ...allowed, ...headers });
    expect(answer.status).toBe(status);
    expect(files()).toHaveLength(status === 201 ? 1 : 0);
    if (status !== 201) expect(answer.headers["content-type"]).toContain("application/problem+json");
  });

  it("an upload with a too large Content-Length is refused at once", async () => {
    const server = await listenToExample("multer");
    const headers = { ...multipart, ...allowed, "content-length": "6000001" };
    expect((await stalledPost(server, "/photos", headers, form("x"))).status).toBe(413);
  });

  it("a disk that cannot be written to is a server error", async () => {
    const server = await listenToExample("multer");
    rmSync(folder, { recursive: true });
    expect((await upload(server, form("x"), allowed)).status).toBe(500);
  });

  it("the file is removed if the handler fails", async () => {
    const server = await listenToExample("multer", 1);
    expect((await upload(server, form("x"), allowed)).status).toBe(500);
    await until(() => files().length === 0);
  });
});

it("before authenticate, the file of an unauthenticated client stays and the 401 waits; after it, neither", async () => {
  const stalls = { ...multipart, "content-length": "1000" };
  const after = await listen(appOf(nobody(), take()));
  expect((await upload(after, form("x"))).status).toBe(401);
  expect((await stalledPost(after, "/photos", stalls, "--b")).status).toBe(401);
  expect(files()).toEqual([]);

  const before = await listen(appOf(take(), nobody()));
  expect((await upload(before, form("x"))).status).toBe(401);
  expect(files()).toHaveLength(1);
  expect((await stalledPost(before, "/photos", stalls, "--b")).status).toBeUndefined();
});

it.each([
  ["a file over the limit", form("x".repeat(200)), {}],
  ["another field", form("x", "other"), {}],
  ["a truncated body", form("x").slice(0, -8), {}],
  ["no boundary", form("x"), { "content-type": "multipart/form-data" }],
])("with recover alone it is a 500: %s", async (_name, body, headers) => {
  expect((await upload(await listen(appOf(take({ fileSize: 100 }))), body, headers)).status).toBe(500);
});

it("without the example's clean-up, a handler that fails leaves the file", async () => {
  const fail: RequestHandler = () => {
    throw new Error("The database is down.");
  };
  expect((await upload(await listen(appOf(take(), fail)), form("x"))).status).toBe(500);
  expect(files()).toHaveLength(1);
});

describe("an upload that stalls", () => {
  const headers = { ...multipart, "content-length": "100000" };
  const begin = form("x".repeat(2_000)).slice(0, 1_500);

  it("is not refused when it is over the limit, because it has not ended", async () => {
    const server = await listen(appOf(take({ fileSize: 100 })));
    expect((await stalledPost(server, "/photos", headers, begin)).status).toBeUndefined();
  });

  it("is a 503 after timeout, and its file is removed when the connection closes", async () => {
    const server = await listen(appOf(timeout(100), take()));
    const answer = stalledPost(server, "/photos", headers, begin, 2_000);
    await until(() => files().length === 1);
    expect((await answer).status).toBe(503);
    await until(() => files().length === 0);
  });

  it("is a 499 in the log when its client leaves, and its file is removed", async () => {
    const logger = memoryLogger();
    const server = await listen(appOf(requestLog({ logger }), take()));
    await stalledPost(server, "/photos", headers, begin);
    await until(() => logger.entries.length > 0 && files().length === 0);
    expect(logger.entries[0]!.fields).toMatchObject({ status: 499, aborted: true });
  });
});

it("after a parser for all content types there is no body left; after express.json there is", async () => {
  const everything = express.raw({ type: () => true });
  expect((await upload(await listen(appOf(everything, take())), form("x"))).status).toBe(500);
  const others = [express.json(), express.urlencoded()];
  expect((await upload(await listen(appOf(...others, take())), form("x"))).body).toBe("1");
});

it("currentContext() works after it", async () => {
  const app = express();
  app.use(requestContext());
  app.post("/photos", take(), (req, res) => void res.json(currentContext()?.id === contextOf(req).id));
  const server = await listen(app);
  expect((await upload(server, form("x"))).body).toBe("true");
  expect(await statusOf(server, "/photos", { method: "POST" })).toBe(200);
});
