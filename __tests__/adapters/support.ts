import { EventEmitter } from "node:events";
import http from "node:http";
import { Duplex } from "node:stream";
import { configure as codegenieExpress } from "@codegenie/serverless-express";
import { configure as vendiaExpress } from "@vendia/serverless-express";
import type { Application } from "express";
import inject from "light-my-request";
import { createRequest, createResponse } from "node-mocks-http";
import serverless from "serverless-http";
import { closeServers, listen } from "../support/server.js";

export interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Reply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** A way to have an app answer a request. */
export interface Adapter {
  readonly name: string;
  send(app: Application, call: Call): Promise<Reply>;
}

/** The yardstick: a real server and a real client. */
export const overTcp: Adapter = {
  name: "a server",
  async send(app, call) {
    const { url } = await listen(app);
    const { method = "GET", path = "/", headers, body = "" } = call;
    try {
      return await new Promise<Reply>((resolve, reject) => {
        const request = http.request(url + path, { method, headers: lengthOf(call, headers), agent: false });
        request.once("error", reject).once("response", async (response) => {
          const parts = await response.toArray();
          resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts) });
        });
        request.end(body);
      });
    } finally {
      await closeServers();
    }
  },
};

function lengthOf({ body }: Call, headers: Call["headers"]): Record<string, string> {
  return { ...headers, ...(body !== undefined && { "content-length": `${Buffer.byteLength(body)}` }) };
}

/** The event that API Gateway (payload 2.0) gives to a Lambda function. */
function lambdaEvent(call: Call) {
  const { method = "GET", path = "/", headers = {}, body } = call;
  const [rawPath = "/", rawQueryString = ""] = path.split("?");
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    rawQueryString,
    headers: { host: "shop.example", ...lengthOf(call, headers) },
    requestContext: { http: { method, path: rawPath, protocol: "HTTP/1.1", sourceIp: "192.0.2.7" } },
    ...(body !== undefined && { body }),
    isBase64Encoded: false,
  };
}

export interface LambdaResult {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isBase64Encoded?: boolean;
}

function replyOf({ statusCode, headers, body, isBase64Encoded }: LambdaResult): Reply {
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return {
    status: statusCode,
    headers: Object.fromEntries(lower),
    body: Buffer.from(body, isBase64Encoded ? "base64" : "utf8"),
  };
}

type Lambda = (event: never, context: never) => Promise<unknown>;

/** The function of an app is made once, as in a deployment. */
function lambda(name: string, make: (app: Application) => Lambda): Adapter {
  const made = new WeakMap<Application, Lambda>();
  return {
    name,
    async send(app, call) {
      const run = made.get(app) ?? make(app);
      made.set(app, run);
      return replyOf((await run(lambdaEvent(call) as never, {} as never)) as LambdaResult);
    },
  };
}

const serverlessHttp = lambda("serverless-http", (app) => serverless(app) as Lambda);
const codegenie = lambda(
  "@codegenie/serverless-express",
  (app) => codegenieExpress({ app }) as unknown as Lambda,
);
const vendia = lambda("@vendia/serverless-express", (app) => vendiaExpress({ app }) as unknown as Lambda);

function injected(name: string, payloadAsStream: boolean): Adapter {
  return {
    name,
    async send(app, { method = "GET", path = "/", headers = {}, body }) {
      const options = { method: method as "GET", url: path, headers, payloadAsStream };
      const res = await inject(app, { ...options, ...(body !== undefined && { payload: body }) });
      const raw = payloadAsStream ? Buffer.concat(await res.stream().toArray()) : res.rawPayload;
      return { status: res.statusCode, headers: res.headers, body: raw };
    },
  };
}

/** Node's own classes, on a connection that leads nowhere. */
const byHand: Adapter = {
  name: "app.handle(req, res) with Node's classes",
  async send(app, call) {
    const chunks: Buffer[] = [];
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk);
        done();
      },
    });
    const req = new http.IncomingMessage(socket as never);
    req.method = call.method ?? "GET";
    req.url = call.path ?? "/";
    req.httpVersion = "1.1";
    req.httpVersionMajor = 1;
    req.httpVersionMinor = 1;
    req.headers = { host: "shop.example", ...lengthOf(call, call.headers) };
    req.complete = true;
    if (call.body !== undefined) req.push(call.body);
    req.push(null);
    const res = new http.ServerResponse(req);
    res.assignSocket(socket as never);
    socket.on("drain", () => res.emit("drain")); // as Node's server does
    const finished = new Promise((resolve) => res.once("finish", resolve));
    (app as unknown as { handle(req: unknown, res: unknown): void }).handle(req, res);
    await finished;
    return parse(Buffer.concat(chunks), res);
  },
};

/** Parses what Node wrote to the connection. */
function parse(bytes: Buffer, res: http.ServerResponse): Reply {
  const end = bytes.indexOf("\r\n\r\n");
  const headers = Object.fromEntries(
    bytes
      .subarray(0, end)
      .toString("latin1")
      .split("\r\n")
      .slice(1)
      .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]),
  );
  let rest = bytes.subarray(end + 4);
  if (headers["transfer-encoding"] === "chunked") {
    const parts: Buffer[] = [];
    while (rest.length > 0) {
      const at = rest.indexOf("\r\n");
      const size = Number.parseInt(rest.subarray(0, at).toString(), 16);
      parts.push(rest.subarray(at + 2, at + 2 + size));
      rest = rest.subarray(at + 4 + size);
    }
    rest = Buffer.concat(parts);
  }
  return { status: res.statusCode, headers, body: rest };
}

/** node-mocks-http has no events unless it is given an emitter. */
function mocked(name: string, options: { eventEmitter?: typeof EventEmitter }): Adapter {
  return {
    name,
    async send(app, { method = "GET", path = "/", headers = {}, body }) {
      const req = createRequest({
        method: method as "GET",
        url: path,
        headers,
        ...options,
        ...(body && { body: { text: body } }),
      });
      const res = createResponse({ req, ...options });
      app(req, res);
      const started = performance.now();
      while (!res._isEndCalled()) {
        if (performance.now() - started > 10_000) throw new Error("the response has not ended");
        await new Promise((resolve) => setImmediate(resolve));
      }
      const bytes =
        res._getBuffer().length > 0 ? res._getBuffer() : Buffer.from(String(res._getData() ?? ""));
      return { status: res.statusCode, headers: res.getHeaders() as Reply["headers"], body: bytes };
    },
  };
}

export const servers: readonly Adapter[] = [serverlessHttp, codegenie, vendia, byHand];

export const injectors: readonly Adapter[] = [
  injected("light-my-request", false),
  injected("light-my-request, as a stream", true),
];

export const mocks: readonly Adapter[] = [
  mocked("node-mocks-http with an emitter", { eventEmitter: EventEmitter }),
  mocked("node-mocks-http without events", {}),
];
