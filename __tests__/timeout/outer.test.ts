import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { gunzipSync } from "node:zlib";
import compression from "compression";
import express, { type Request, type RequestHandler, type Response } from "express";
import session from "express-session";
import { compress } from "../../src/compress/index.js";
import { contextOf, requestContext } from "../../src/context/index.js";
import { beforeHead, intercept } from "../../src/lib/response/intercept.js";
import type { Interceptor, Outer } from "../../src/lib/response/interceptor.js";
import { serve } from "../../src/serve/index.js";
import { timeout } from "../../src/timeout/index.js";
import { certificate } from "../support/certificate.js";
import { type Answer, ask, ask1, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { SOAK } from "../support/soak.js";
import { deadline, MS, sleep, watchProcess, watchStderr } from "./support.js";

// Outer middleware may send the answer later, and in another form.

const stderr = watchStderr();
watchProcess();

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await closeHttp2();
  for (const close of open.splice(0)) await close();
});

const DETAIL = "late ".repeat(1_000);

type Send = (
  path: string,
  options?: { headers?: Record<string, string>; method?: string },
) => Promise<Answer>;

async function start(protocol: string, outer: RequestHandler[], inner: RequestHandler): Promise<Send> {
  const app = express();
  app.use(requestContext(), ...outer);
  app.get("/fine", (_req, res) => void res.send("fine"));
  app.use(timeout({ ms: MS, message: DETAIL }), inner);
  const isHttp2 = protocol === "HTTP/2";
  const { key, cert } = await certificate();
  const served = await serve(app, {
    port: 0,
    logger: memoryLogger(),
    signals: false,
    ...(isHttp2 && { tls: { key, cert }, http2: true }),
  });
  open.push(() => served.close());
  if (!isHttp2) return (path, options) => ask1(served.url, path, options);
  const client = connectHttp2(served.url);
  return (path, options) => ask(client, path, options);
}

/** A patch of `end` that calls the outer one later. */
const endsLater: RequestHandler = (_req, res, next) => {
  const { end } = res;
  res.end = ((...args: Parameters<Response["end"]>) => {
    setTimeout(() => end.apply(res, args), 10);
    return res;
  }) as Response["end"];
  next();
};

/** The same, and puts the method back before, so that it is called by way of the response. */
const endsLaterItself: RequestHandler = (_req, res, next) => {
  const { end } = res;
  res.end = ((...args: Parameters<Response["end"]>) => {
    setTimeout(() => {
      res.end = end;
      res.end(...args);
    }, 10);
    return res;
  }) as Response["end"];
  next();
};

/** Keeps all of the body, and ends with it later. */
const collects: RequestHandler = (_req, res, next) => {
  const { write, end } = res;
  const chunks: Buffer[] = [];
  let isOut = false;
  const take = (chunk: unknown) => {
    if (typeof chunk === "string" || chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk as string));
  };
  res.write = ((...args: Parameters<Response["write"]>) => {
    if (isOut) return write.apply(res, args); // Node's own, on HTTP/2
    take(args[0]);
    return true;
  }) as Response["write"];
  res.end = ((chunk: unknown) => {
    take(chunk);
    setTimeout(() => {
      isOut = true;
      end.call(res, Buffer.concat(chunks), "utf8");
    }, 10);
    return res;
  }) as Response["end"];
  next();
};

class SlowStore extends session.MemoryStore {
  override set(...[id, data, done]: Parameters<session.MemoryStore["set"]>): void {
    setTimeout(() => super.set(id, data, done), 10);
  }
}

/** An interceptor that holds everything, and sends it later, in pieces and with another head. */
class Later implements Interceptor {
  private status = 200;
  private readonly chunks: Buffer[] = [];
  constructor(
    private readonly res: ServerResponse,
    private readonly outlet: Outer,
    private readonly sync: boolean,
  ) {}
  onHead(status: number): void {
    this.status = status;
  }
  onData(chunk: string | Uint8Array): boolean {
    this.chunks.push(Buffer.from(chunk as string));
    return true;
  }
  onEnd(chunk?: string | Uint8Array): void {
    if (chunk !== undefined) this.onData(chunk);
    const send = () => {
      const body = Buffer.concat(this.chunks);
      this.outlet.writeHead(this.status, undefined, () => {
        this.res.setHeader("X-Tap", "1");
        this.res.removeHeader("Content-Length");
      });
      this.outlet.write(body.subarray(0, 10));
      this.outlet.write(body.subarray(10, -1));
      this.outlet.end(body.subarray(-1));
    };
    if (this.sync) send();
    else setTimeout(send, 10);
  }
  onFlush(): void {}
}

const tapped =
  (sync: boolean): RequestHandler =>
  (_req, res, next) => {
    intercept(res, (outlet) => new Later(res, outlet, sync));
    next();
  };

const hooked: RequestHandler = (_req, res, next) => {
  beforeHead(res, (at) => void at.setHeader("X-Hook", String(at.statusCode)), undefined);
  next();
};

const sessions = () =>
  session({ secret: "s", resave: true, saveUninitialized: true, store: new SlowStore() });

const OUTERS: Record<string, () => RequestHandler[]> = {
  "an end that comes later": () => [hooked, endsLater],
  "two of them": () => [endsLater, hooked, endsLater],
  "an end that comes later, by way of the response": () => [hooked, endsLaterItself],
  "one that collects the body": () => [hooked, collects],
  "a session": () => [hooked, sessions()],
  "a session that compression stands around": () => [compression({ threshold: 0 }), hooked, sessions()],
  compression: () => [hooked, compression({ threshold: 0 })],
  "compression, and an end that comes later": () => [endsLater, hooked, compression({ threshold: 0 })],
  "compress, on the spot": () => [hooked, compress({ threshold: 0 })],
  "compress, and a session": () => [compress({ threshold: 0 }), hooked, sessions()],
  "compress, and an end that comes later": () => [compress({ threshold: 0 }), hooked, endsLater],
  "a tap": () => [hooked, tapped(true)],
  "a tap that sends later": () => [hooked, tapped(false)],
  "a tap that sends later, and an end that comes later": () => [tapped(false), hooked, endsLater],
};

/** What comes late, while the answer has not gone out. */
const LATE: Record<string, (res: Response, req: Request) => unknown> = {
  nothing: () => {},
  send: (res) => res.status(201).set("X-Late", "1").send("late"),
  "write, with an encoding": (res) => expect(res.write("late", "utf8")).toBe(true),
  "write and end": (res) => {
    res.write("late");
    res.write(Buffer.from("late"), () => {});
    res.end("late");
  },
  "writeHead and statusMessage": (res) => {
    res.statusCode = 201;
    if (res.req.httpVersionMajor < 2) res.statusMessage = "Late";
    res.writeHead(201, { "X-Late": "1" }).flushHeaders();
  },
  "a pipe": (res) => Readable.from(["late", "late"]).pipe(res),
  destroy: (res) => res.destroy(),
};

describe.each(["HTTP/1.1", "HTTP/2"])("over %s, outside of it", (protocol) => {
  // `npm test` has each of them over one of the protocols.
  const outers = Object.entries(OUTERS).filter((_, i) => SOAK || (i % 2 === 0) === (protocol === "HTTP/2"));
  it.each(outers)("%s has the answer whole, whatever comes late", async (_name, outer) => {
    const late = Object.values(LATE);
    let done = 0;
    const send = await start(protocol, outer(), async (req, res) => {
      res.setHeader("X-Inner", "1");
      await deadline(req, (r) => contextOf(r).signal);
      await late[Number(req.path.slice(1))]!(res, req);
      done++;
    });
    const headers = { "accept-encoding": "gzip" };
    const answers = await Promise.all(late.map((_late, i) => send(`/${i}`, { headers })));
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 503, isWhole: true, headers: { "x-hook": "503" } });
      const isCoded = answer.headers["content-encoding"] === "gzip";
      const bytes = Buffer.from(answer.body, "latin1");
      expect(JSON.parse(String(isCoded ? gunzipSync(bytes) : bytes))).toMatchObject({ detail: DETAIL });
      expect(answer.headers).not.toHaveProperty("x-inner");
      expect(answer.headers).not.toHaveProperty("x-late");
    }
    await until(() => done === late.length);
    expect(await send("/fine")).toMatchObject({ status: 200, isWhole: true });
    expect(stderr).toEqual([]);
  });

  it("an end that comes later has the answer to HEAD", async () => {
    const send = await start(protocol, [endsLater], () => {});
    expect(await send("/", { method: "HEAD" })).toMatchObject({ status: 503, body: "", isWhole: true });
    expect(await send("/fine")).toMatchObject({ status: 200, isWhole: true });
  });

  it.each([
    "compress",
    "a tap that sends later",
  ])("further in, %s has no part in the answer", async (kind) => {
    const inner = kind === "compress" ? compress({ threshold: 2_000, flush: false }) : tapped(false);
    const send = await start(protocol, [], (req, res, next) => {
      inner(req, res, async () => {
        res.status(201).type("text");
        res.write("begun, and kept back");
        await sleep(MS + 30);
        res.end("late");
        next();
      });
    });
    const answer = await send("/", { headers: { "accept-encoding": "gzip" } });
    expect(answer).toMatchObject({ status: 503, isWhole: true });
    expect(answer.headers).not.toHaveProperty("content-encoding");
    expect(answer.headers).not.toHaveProperty("x-tap");
    expect(JSON.parse(answer.body)).toMatchObject({ detail: DETAIL });
    await sleep(40);
    expect(await send("/fine")).toMatchObject({ status: 200, isWhole: true });
  });
});
