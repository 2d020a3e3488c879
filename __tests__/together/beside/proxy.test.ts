import http from "node:http";
import zlib from "node:zlib";
import express, { type Request } from "express";
import { createProxyMiddleware, type Options } from "http-proxy-middleware";
import { cache, compress, portico, timeout } from "../../../src/index.js";
import { expressVersions } from "../../support/express.js";
import { ask1 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, REFUSING, until } from "../../support/server.js";
import { captureOutput, fromPage, listenToExample, PAGE_ORIGIN } from "./support.js";

// A proxy behind portico, cache, compress and timeout.

afterEach(async () => {
  jest.restoreAllMocks();
  delete process.env.UPSTREAM;
  await closeServers();
});

const LONG = "line of an upstream's page; ".repeat(500);

/** The handler that the page recommends for an upstream that breaks off. */
const told: Options<Request>["on"] = {
  proxyRes: (upstream, req) => {
    upstream.on("error", (cause) => {
      req.next?.(Object.assign(new Error("The upstream broke off.", { cause }), { status: 502 }));
    });
  },
};

async function stack(
  upstream: http.RequestListener,
  options: Options<Request> = {},
  make: typeof express = express,
  limits = { ms: 10_000, totalMs: 20_000 },
) {
  const { url } = await listen(upstream);
  const logger = memoryLogger();
  const { before, after } = portico({ logger, cors: { origin: PAGE_ORIGIN } });
  const app = make();
  app.use(before);
  app.use(cache(), compress(), timeout(limits));
  app.use(createProxyMiddleware<Request>({ target: url, ...options }));
  app.use(after);
  const server = await listen(app);
  const records = () => logger.entries.filter(({ fields }) => fields.durationMs !== undefined);
  return { server, logger, records };
}

/** Resolves when the connection has ended, and says whether the response is complete. */
function fetchRaw(url: string, headers: http.OutgoingHttpHeaders = {}) {
  return new Promise<{ status: number; headers: http.IncomingHttpHeaders; body: Buffer; isWhole: boolean }>(
    (resolve, reject) => {
      const request = http.get(url, { agent: false, headers }, (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part) => parts.push(part));
        response.on("error", () => {});
        response.on("close", () => {
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: Buffer.concat(parts),
            isWhole: response.complete,
          });
        });
      });
      request.on("error", reject);
    },
  );
}

describe.each(expressVersions)("on %s", (_name, make) => {
  it("an upstream's page is encoded, stored, and logged once", async () => {
    let asked = 0;
    const { server, records } = await stack(
      (_req, res) => {
        asked++;
        res.writeHead(200, {
          "content-type": "text/html",
          "cache-control": "max-age=60",
          "content-length": LONG.length,
        });
        res.end(LONG);
      },
      {},
      make,
    );
    for (const attempt of ["miss", "hit"]) {
      const got = await fetchRaw(server.url, { ...fromPage, "accept-encoding": "gzip" });
      expect([attempt, got.status, got.headers["content-encoding"]]).toEqual([attempt, 200, "gzip"]);
      expect(zlib.gunzipSync(got.body).toString()).toBe(LONG);
      expect(got.headers["access-control-allow-origin"]).toBe(PAGE_ORIGIN);
    }
    expect(asked).toBe(1);
    await until(() => records().length === 2);
    expect(records().map(({ fields }) => fields.status)).toEqual([200, 200]);
  });

  it("an unreachable upstream is a 504 with CORS headers, and one record", async () => {
    const { server, records } = await stack(() => {}, { target: REFUSING }, make);
    const got = await ask1(server.url, "/", { headers: fromPage });
    expect([got.status, got.headers["access-control-allow-origin"]]).toEqual([504, PAGE_ORIGIN]);
    await until(() => records().length > 0);
    expect(records().map(({ fields }) => fields.status)).toEqual([504]);
  });

  it("an upstream that does not answer is a 503 of timeout with CORS headers, and one record", async () => {
    const { server, records } = await stack(() => {}, {}, make, { ms: 100, totalMs: 10_000 });
    const got = await ask1(server.url, "/", { headers: fromPage });
    expect([got.status, got.headers["access-control-allow-origin"]]).toEqual([503, PAGE_ORIGIN]);
    await until(() => records().length > 0);
    expect(records().map(({ fields }) => [fields.status, fields.timedOut])).toEqual([[503, true]]);
  });
});

it("a body that the upstream has encoded is passed on unchanged", async () => {
  const bytes = zlib.gzipSync(LONG);
  const { server } = await stack((_req, res) => {
    res.writeHead(200, { "content-type": "text/html", "content-encoding": "gzip" });
    res.end(bytes);
  });
  const got = await fetchRaw(server.url, { "accept-encoding": "br, gzip" });
  expect([got.headers["content-encoding"], got.body.equals(bytes)]).toEqual(["gzip", true]);
});

it("a POST's body reaches the upstream", async () => {
  const { server, records } = await stack((req, res) => void req.pipe(res));
  const got = await ask1(server.url, "/", { method: "POST", body: LONG });
  expect([got.status, got.body]).toEqual([200, LONG]);
  await until(() => records().length > 0);
  expect(records()).toHaveLength(1);
});

describe("an upstream that breaks off half-way", () => {
  const kinds: [string, (res: http.ServerResponse) => void][] = [
    [
      "with a Content-Length",
      (res) => res.writeHead(200, { "content-type": "text/plain", "content-length": 100_000 }),
    ],
    ["in chunks", (res) => res.writeHead(200, { "content-type": "text/plain" })],
    [
      "with what is not encoded",
      (res) => res.writeHead(200, { "content-type": "image/png", "content-length": 100_000 }),
    ],
  ];
  const breaksOff = (begin: (res: http.ServerResponse) => void) => {
    const open: http.ServerResponse[] = [];
    return {
      handler: ((_req, res) => {
        open.push(res);
        begin(res);
        res.write(LONG);
      }) as http.RequestListener,
      /** Breaks off when the client has received some bytes. */
      breakOff: () => open.shift()!.destroy(),
    };
  };

  /** Waits for the first bytes, so that the head has been sent. */
  async function watch(url: string, encoding: string) {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get(url, { agent: false, headers: { "accept-encoding": encoding } }, resolve).on("error", reject);
    });
    response.on("error", () => {});
    let bytes = 0;
    let isOver = false;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    response.on("close", () => {
      isOver = true;
    });
    await until(() => bytes > 0);
    return { response, isOver: () => isOver };
  }

  it.each(
    kinds,
  )("%s: the client sees that it is not whole, as the page tells to write", async (_name, begin) => {
    for (const encoding of ["gzip", "identity"]) {
      const upstream = breaksOff(begin);
      const { server, records } = await stack(upstream.handler, { on: told });
      const { response, isOver } = await watch(server.url, encoding);
      upstream.breakOff();
      await until(isOver);
      expect(response.complete).toBe(false);
      await until(() => records().length > 0);
      expect(records().map(({ fields }) => [fields.status, fields.error?.message])).toEqual([
        [200, "The upstream broke off."],
      ]);
    }
  });

  it("before any byte was sent on, it is a 502 with CORS headers", async () => {
    const { server, records } = await stack(
      (_req, res) => {
        res.writeHead(200, { "content-type": "text/plain", "content-length": 100_000 });
        res.flushHeaders();
        setImmediate(() => res.destroy());
      },
      { on: told },
    );
    const got = await ask1(server.url, "/", { headers: fromPage });
    expect([got.status, got.headers["access-control-allow-origin"]]).toEqual([502, PAGE_ORIGIN]);
    await until(() => records().length > 0);
    expect(records().map(({ fields }) => fields.status)).toEqual([502]);
  });

  it("without that handler the proxy package leaves the client waiting, also without our middleware; totalMs ends that", async () => {
    const alone = breaksOff(kinds[0]![1]);
    const { url } = await listen(alone.handler);
    const app = express();
    app.use(
      createProxyMiddleware({
        target: url,
        on: { proxyRes: (upstream) => void upstream.on("close", () => ended.push(upstream.complete)) },
      }),
    );
    const ended: boolean[] = [];
    const bare = await watch((await listen(app)).url, "identity");
    alone.breakOff();
    await until(() => ended.length > 0);
    expect([ended, bare.isOver()]).toEqual([[false], false]);

    const upstream = breaksOff(kinds[0]![1]);
    const { server } = await stack(upstream.handler, {}, express, { ms: 200, totalMs: 300 });
    const { response, isOver } = await watch(server.url, "identity");
    upstream.breakOff();
    await until(isOver);
    expect(response.complete).toBe(false);
  });

  it("the example on the page works the same", async () => {
    captureOutput();
    const upstream = breaksOff(kinds[0]![1]);
    process.env.UPSTREAM = (await listen(upstream.handler)).url;
    const server = await listenToExample("http-proxy-middleware");
    const { response, isOver } = await watch(server.url, "gzip");
    upstream.breakOff();
    await until(isOver);
    expect(response.complete).toBe(false);
  });
});
