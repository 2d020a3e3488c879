import type http2 from "node:http2";
import express from "express";
import { requestContext } from "../../../src/context/index.js";
import { cors } from "../../../src/cors/index.js";
import { recover } from "../../../src/recover/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { securityHeaders } from "../../../src/security-headers/index.js";
import { bridgeHttp2, http2ServerOptions } from "../../../src/serve/http2/bridge.js";
import { type Ask, ask, ask1, closeHttp2, connectHttp2, listenHttp2 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { until } from "../../support/server.js";

describe.each([
  ["prototypes changed by Express", false],
  ["prototypes from the beginning", true],
])("the concerns of this package, %s", (_name, isFast) => {
  const lines: string[] = [];
  let session: http2.ClientHttp2Session;
  let url: string;

  beforeAll(async () => {
    const app = express();
    app.use(
      requestContext({ trustRequestId: true }),
      requestLog({ format: "json", stream: { write: (line) => void lines.push(line) } }),
      cors({ origin: "https://a.example", credentials: true }),
      securityHeaders(),
      express.json(),
    );
    app.get("/fine", (_req, res) => void res.send("fine"));
    app.post("/body", (req, res) => void res.json(req.body));
    app.get(
      "/head",
      (_req, res) => void res.writeHead(203, "Reason", { "X-A": "1", Connection: "close" }).end("xy"),
    );
    app.get("/list", (_req, res) => void res.writeHead(200, ["X-A", "1", "X-A", "2"]).end("xy"));
    app.get("/written", (_req, res) => {
      res.write("one");
      res.end("two");
    });
    app.get("/flushed", (_req, res) => {
      res.flushHeaders();
      res.end("late");
    });
    app.get("/empty", (_req, res) => void res.sendStatus(204));
    app.get("/fails", () => {
      throw Object.assign(new Error("refused"), { status: 409, expose: true });
    });
    app.use(recover({ logger: memoryLogger() }));
    bridgeHttp2(app);
    ({ url } = await listenHttp2(app, isFast ? http2ServerOptions(app) : {}));
    session = connectHttp2(url);
  });
  afterAll(closeHttp2);

  async function told(answer: ReturnType<typeof ask>) {
    lines.length = 0;
    const { status, headers, body, isWhole } = await answer;
    await until(() => lines.length > 0);
    const { date, connection, "keep-alive": _, "transfer-encoding": __, ...rest } = headers;
    const { time, durationMs, headersMs, httpVersion, ...entry } = JSON.parse(lines[0]!);
    return { status, headers: rest, body, isWhole, entry, lines: lines.length };
  }

  const origin = "https://a.example";
  const questions: [string, Ask][] = [
    ["/fine", {}],
    ["/fine", { method: "HEAD" }],
    ["/fine", { headers: { origin } }],
    ["/fine", { headers: { origin: "https://b.example" } }],
    ["/fine", { method: "OPTIONS", headers: { origin, "access-control-request-method": "PUT" } }],
    ["/body", { method: "POST", body: '{"a":1}', headers: { "content-type": "application/json" } }],
    ["/body", { method: "POST", body: '{"a"', headers: { "content-type": "application/json" } }],
    ["/head", {}],
    ["/list", {}],
    ["/written", {}],
    ["/written", { method: "HEAD" }],
    ["/flushed", {}],
    ["/empty", {}],
    ["/fails", { headers: { accept: "application/json", origin } }],
    ["/none", {}],
  ];
  it.each(
    questions.map(([path, question], i) => [i, question.method ?? "GET", path, question] as const),
  )("%d. %s %s is answered and logged alike", async (_i, _method, path, { headers, ...question }) => {
    const same = {
      ...question,
      headers: {
        ...headers,
        "x-request-id": "0123456789abcdef0123456789abcdef",
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      },
    };
    const expected = await told(ask1(url, path, same));
    const actual = await told(ask(session, path, same));
    expect(actual).toEqual(expected);
    expect(actual.lines).toBe(1);
  });
});
