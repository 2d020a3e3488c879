import http, { type ServerResponse } from "node:http";
import { PassThrough, Readable } from "node:stream";
import compression from "compression";
import express, { type RequestHandler } from "express";
import session from "express-session";
import onHeaders from "on-headers";
import { knownChain } from "../../../src/lib/response/chain.js";
import { beforeHead, discardInside, intercept } from "../../../src/lib/response/intercept.js";
import type { Interceptor, Outer } from "../../../src/lib/response/interceptor.js";
import { restore, snapshotOf } from "../../../src/lib/response/snapshot.js";
import { serve } from "../../../src/serve/index.js";
import { ask as askHttp2, closeHttp2, connectHttp2 } from "../../support/http2.js";
import { closeServers, listen, raw, until } from "../../support/server.js";
import { oneIn, SOAK } from "../../support/soak.js";

afterEach(closeServers);
afterEach(closeHttp2);

/** Hands everything on as it comes. */
class Passing implements Interceptor {
  constructor(
    protected readonly res: ServerResponse,
    protected readonly outlet: Outer,
  ) {}
  onHead(status: number, reason: string | undefined, _whole?: number): void {
    this.outlet.writeHead(status, reason);
  }
  onData(...args: Parameters<Interceptor["onData"]>): boolean {
    return this.outlet.write(...args);
  }
  onEnd(...args: Parameters<Interceptor["onEnd"]>): void {
    this.outlet.end(...args);
  }
  onFlush(): void {
    this.outlet.flushHeaders();
  }
}

/** Keeps everything back until some turns after the end, and gives it a length then. */
class Holding extends Passing {
  private status = 200;
  private reason: string | undefined;
  private chunks: Buffer[] = [];
  override onHead(status: number, reason: string | undefined): void {
    this.status = status;
    this.reason = reason;
    this.chunks = [];
  }
  override onData(...[chunk, encoding, callback]: Parameters<Interceptor["onData"]>): boolean {
    this.chunks.push(typeof chunk === "string" ? Buffer.from(chunk, encoding) : Buffer.from(chunk));
    if (callback !== undefined) process.nextTick(callback);
    return true;
  }
  override onEnd(...[chunk, encoding, callback]: Parameters<Interceptor["onEnd"]>): void {
    if (chunk !== undefined) this.onData(chunk, encoding, undefined);
    setImmediate(() => this.release(callback));
  }
  override onFlush(): void {}
  protected release(callback: Parameters<Interceptor["onEnd"]>[2]): void {
    const body = Buffer.concat(this.chunks);
    this.outlet.writeHead(this.status, this.reason, () => {
      if (body.length > 0) this.res.setHeader("Content-Length", body.length);
    });
    this.outlet.end(body.length > 0 ? body : undefined, undefined, callback);
  }
}

/** Keeps back until the end, and sends it there and then. */
class HoldingToTheEnd extends Holding {
  override onEnd(...[chunk, encoding, callback]: Parameters<Interceptor["onEnd"]>): void {
    if (chunk !== undefined) this.onData(chunk, encoding, undefined);
    this.release(callback);
  }
}

/** Takes no part. */
class Aside extends Passing {
  override onHead(status: number, reason: string | undefined): void {
    this.outlet.stepAside(status, reason);
  }
}

function interceptorCount(res: ServerResponse): number {
  let count = 0;
  for (let link = knownChain(res)?.innermost; link !== undefined; link = link.outer) {
    if (link.interceptor !== undefined) count++;
  }
  return count;
}

type Kind = new (res: ServerResponse, outlet: Outer) => Interceptor;
const SETS: Record<string, readonly Kind[]> = {
  "one that passes": [Passing],
  "one that steps aside": [Aside],
  "one that holds": [Holding],
  "one that holds to the end": [HoldingToTheEnd],
  "two that pass": [Passing, Passing],
  "two that hold": [Holding, Holding],
  "a holder outside of one that passes": [Holding, Passing],
  "a holder inside of one that passes": [Passing, HoldingToTheEnd],
  "a holder outside of one that steps aside": [HoldingToTheEnd, Aside],
};

const tap =
  (kind: Kind): RequestHandler =>
  (_req, res, next) => {
    intercept(res, (outlet) => new kind(res, outlet));
    next();
  };

type Note = (what: string, value?: unknown) => void;
type Scene = (res: ServerResponse, note: Note) => void;

const code = (call: () => unknown): unknown => {
  try {
    return typeof call();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

/** What a handler does and sees, in turns of its own. */
const SCENES: Record<string, Scene> = {
  "ends with nothing": (res, note) => note("returned", res.end() === res),
  "ends with a string": (res, note) => note("returned", res.end("body") === res),
  "ends with bytes": (res) => void res.end(Buffer.from("body")),
  "ends with a string in another encoding": (res) => void res.end("626f6479", "hex"),
  "ends with a callback": (res, note) => void res.end(() => note("finished", res.writableFinished)),
  "ends with a string and a callback": (res, note) => void res.end("body", () => note("finished")),
  "ends with all three": (res, note) => void res.end("626f6479", "hex", () => note("finished")),
  "ends with null, and with an empty string": (res) => {
    res.write("body");
    res.end(null as never);
  },
  "ends with an empty string": (res) => void res.end(""),
  "writes and ends": (res, note) => {
    note("more", res.write("bo"));
    res.write(Buffer.from("d"));
    res.end("y");
  },
  "writes with callbacks": (res, note) => {
    res.write("bo", () => note("written"));
    res.write("6479", "hex", () => {
      note("written");
      res.end(() => note("finished"));
    });
  },
  "waits for each callback": (res, note) => {
    const parts = ["b", "o", "d", "y"];
    const next = () => {
      const part = parts.shift();
      if (part === undefined) res.end();
      else {
        res.write(part, (error) => {
          note("error", error ?? null);
          next();
        });
      }
    };
    next();
  },
  "asks whether it has begun": (res, note) => {
    const look = () => note("state", [res.headersSent, res.writableEnded]);
    look();
    res.write("bo");
    look();
    setImmediate(() => {
      look();
      res.end("dy");
      look();
      setImmediate(look);
    });
  },
  "ends at once, and asks": (res, note) => {
    res.end("body");
    note("state", [res.headersSent, res.writableEnded]);
    setImmediate(() => note("state", [res.headersSent, res.writableEnded]));
  },
  "asks after writeHead": (res, note) => {
    res.writeHead(201, "Made", { "X-A": "1" });
    note("state", [res.headersSent, res.statusCode]);
    res.end("body");
  },
  "changes headers too late": (res, note) => {
    res.setHeader("X-A", "1");
    res.write("bo");
    note(
      "set",
      code(() => res.setHeader("X-A", "2")),
    );
    note(
      "append",
      code(() => res.appendHeader("X-A", "2")),
    );
    note(
      "remove",
      code(() => res.removeHeader("X-A")),
    );
    note(
      "head",
      code(() => res.writeHead(500)),
    );
    note(
      "head with headers",
      code(() => res.writeHead(500, { "X-A": "3" })),
    );
    res.end("dy");
    note(
      "set",
      code(() => res.setHeader("X-A", "2")),
    );
  },
  "answers twice": (res, note) => {
    res.end("body");
    note(
      "set",
      code(() => res.setHeader("X-B", "2")),
    );
    note(
      "head",
      code(() => res.writeHead(500)),
    );
    note("ended", res.end() === res);
  },
  "writes after the end": (res, note) => {
    res.on("error", (error) => note("error", (error as { code?: string }).code));
    res.end("body");
    note(
      "more",
      res.write("more", (error) => note("callback", (error as { code?: string }).code)),
    );
    note("returned", res.end("more") === res);
  },
  "ends twice, the second time with a callback": (res, note) => {
    res.end("body");
    res.end(() => note("finished"));
    res.end("", () => note("finished"));
  },
  "gives what is no chunk": (res, note) => {
    for (const chunk of [null, undefined, 5, true, {}, []])
      note(
        "write",
        code(() => res.write(chunk as never)),
      );
    for (const chunk of [5, true, {}])
      note(
        "end",
        code(() => res.end(chunk as never)),
      );
    note("state", [res.headersSent, res.writableEnded]);
    res.end("body");
  },
  "gives what is no head, then a right one": (res, note) => {
    note(
      "status",
      code(() => res.writeHead(9)),
    );
    note(
      "status",
      code(() => res.writeHead("x" as never)),
    );
    note(
      "status",
      code(() => res.writeHead(1_000)),
    );
    note(
      "value",
      code(() => res.writeHead(200, { "X-A": "a\nb" })),
    );
    note(
      "name",
      code(() => res.writeHead(200, { "a b": "c" })),
    );
    note(
      "list",
      code(() => res.writeHead(200, ["X-A"] as never)),
    );
    note(
      "reason",
      code(() => res.writeHead(200, "a\nb")),
    );
    note("state", res.headersSent);
    res.writeHead(202, "Fine", { "X-A": "1" });
    res.end("body");
  },
  "gives a bad reason to a response that ends": (res, note) => {
    res.statusMessage = "a\nb";
    note(
      "end",
      code(() => res.end("lost")),
    );
    note("state", [res.headersSent, res.writableEnded]);
    res.statusMessage = "Mended";
    res.end("body");
  },
  "flushes the head early": (res, note) => {
    res.flushHeaders();
    note("state", res.headersSent);
    note(
      "set",
      code(() => res.setHeader("X-A", "1")),
    );
    setImmediate(() => res.end("body"));
  },
  "gives a list of pairs to writeHead": (res) => {
    res.writeHead(200, [
      ["X-A", "1"],
      ["X-B", "2"],
    ] as never);
    res.end("body");
  },
  "gives a flat list to writeHead": (res) => {
    res.writeHead(200, ["X-A", "1", "X-A", "2"]);
    res.end("body");
  },
  "has a length of its own": (res) => {
    res.writeHead(200, { "Content-Length": 4 });
    res.write("bo");
    res.end("dy");
  },
  "answers 204": (res) => void res.writeHead(204).end(),
  "answers 304": (res) => void res.writeHead(304, { ETag: '"x"' }).end(),
  "pipes a stream": (res) => void Readable.from(["bo", "dy"]).pipe(res),
  "waits for 'finish'": (res, note) => {
    res.on("finish", () => note("finish"));
    res.on("prefinish", () => note("prefinish"));
    res.end("body");
  },
  "corks and uncorks": (res) => {
    res.cork();
    res.write("bo");
    res.write("dy");
    res.uncork();
    res.end();
  },
};

/** The parts of an answer that must be the same, whether it is chunked or not. */
function essence(text: string) {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const [line, ...fields] = head.split("\r\n");
  const chunked = /transfer-encoding: chunked/i.test(head);
  const body = rest.join("\r\n\r\n");
  return {
    line,
    fields: fields.filter(
      (field) => !/^(date|transfer-encoding|content-length|connection|keep-alive):/i.test(field),
    ),
    body: chunked ? body.replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, "").trimEnd() : body,
  };
}

async function play(scene: Scene, kinds: readonly Kind[], request = GET) {
  const notes: unknown[] = [];
  let isClosed = false;
  const note: Note = (what, value) => void notes.push([what, value]);
  const app = express();
  app.disable("x-powered-by");
  app.use(...kinds.map(tap), (_req, _res, next) => next());
  app.use((_req, res) => {
    res.on("close", () => {
      isClosed = true;
    });
    scene(res, note);
  });
  const server = await listen(app);
  const { text, end } = await raw(server.port, request, 400);
  await until(() => isClosed);
  await new Promise((resolve) => setTimeout(resolve, 2)); // the turns of a handler that looks again
  return { ...essence(text), end, notes };
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/** What each scene does without interceptors. */
const bareScenes = new Map<Scene, ReturnType<typeof play>>();
/** The same over HTTP/2, with all scenes and with those that suit an interceptor that sends later. */
const bareOverHttp2 = new Map<boolean, Promise<unknown[]>>();
function playBare(scene: Scene) {
  let played = bareScenes.get(scene);
  if (played === undefined) bareScenes.set(scene, (played = play(scene, [])));
  return played;
}

describe.each(Object.entries(SETS))("with %s", (set, kinds) => {
  // What is sent in a later turn is refused in one, when the handler can mend nothing.
  const isLate = kinds.includes(Holding);
  const scenes = Object.entries(SCENES).filter(([name]) => !(isLate && name.includes("bad reason")));

  // `npm test` plays each scene with a third of the sets, and over HTTP/2 with all of them.
  const at = Object.keys(SETS).indexOf(set);
  const some = scenes.filter((_, i) => SOAK || (i + at) % 3 === 0);
  it.each(some)("a handler that %s sees and sends the same", async (_name, scene) => {
    const bare = await playBare(scene);
    expect(await play(scene, kinds)).toEqual(bare);
  });

  it.each([
    ["HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"],
    ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"],
  ])("%s is answered the same", async (_name, request) => {
    for (const name of ["ends with a string", "writes and ends", "has a length of its own", "answers 304"]) {
      const scene = SCENES[name]!;
      expect(await play(scene, kinds, request)).toEqual(await play(scene, [], request));
    }
  });

  it("pipelined answers come in order, each once", async () => {
    const app = express();
    app.use(...kinds.map(tap), (_req, _res, next) => next());
    app.get("/slow", (_req, res) => void setTimeout(() => res.end("slow"), 15));
    app.get("/fast", (_req, res) => void res.end("fast"));
    app.get("/parts", (_req, res) => {
      res.write("par");
      setImmediate(() => res.end("ts"));
    });
    const { port } = await listen(app);
    const requests = ["/slow", "/fast", "/parts", "/fast"].map(
      (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    const { text } = await raw(port, requests.join(""), 100);
    expect(text.match(/slow|fast|par|ts\r?$|ts/g)!.join(" ")).toBe("slow fast par ts fast");
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(4);
  });

  it("the same goes for HTTP/2", async () => {
    const paths: Record<string, Scene> = {};
    for (const [i, [, scene]] of scenes.entries()) paths[`/${i}`] = scene;
    const run = async (taps: readonly Kind[]) => {
      const notes: Record<string, unknown[]> = {};
      const app = express();
      app.disable("x-powered-by");
      app.use(...taps.map(tap), (_req, _res, next) => next());
      app.use((req, res) => {
        const own: unknown[] = (notes[req.path] = []);
        res.on("error", () => {});
        paths[req.path]!(res, (what, value) => void own.push([what, value]));
      });
      const served = await serve(app, {
        port: 0,
        host: "127.0.0.1",
        http2: true,
        signals: [],
        tls: await certificate(),
      });
      const client = connectHttp2(served.url.replace("127.0.0.1", "localhost"));
      const answers = await Promise.all(Object.keys(paths).map((path) => askHttp2(client, path)));
      client.destroy();
      await served.close();
      return Object.keys(paths).map((path, i) => {
        const { status, headers, body, isWhole } = answers[i]!;
        const { date, "content-length": length, ...others } = headers;
        // Node resets a stream that is written to after its end; an answer that is still held back is a good one.
        const isLost = scenes[i]![0] === "writes after the end";
        return [scenes[i]![0], status, others, body, isWhole || isLost, notes[path]];
      });
    };
    let played = bareOverHttp2.get(isLate);
    if (played === undefined) bareOverHttp2.set(isLate, (played = run([])));
    const [bare, tapped] = [await played, await run(kinds)];
    for (const [i, one] of tapped.entries()) expect(one).toEqual(bare[i]);
  });
});

describe("hooks before the head", () => {
  it.each([
    "one that passes",
    "one that holds",
    "two that hold",
    "one that steps aside",
  ])("run in their order around %s, once, with all headers set", async (set) => {
    const order: string[] = [];
    const hook =
      (name: string): RequestHandler =>
      (_req, res, next) => {
        beforeHead(
          res,
          () => {
            order.push(`${name} ${res.getHeader("x-by") ?? ""}`);
            res.setHeader("X-By", name);
          },
          undefined,
        );
        next();
      };
    const app = express();
    app.use(hook("outer"), hook("outer 2"), ...SETS[set]!.map(tap), hook("inner"), hook("inner 2"));
    app.use((_req, res) => void res.writeHead(200, { "X-By": "app" }).end("body"));
    const { port } = await listen(app);
    const { text } = await raw(port, GET);
    expect(order).toEqual(["inner 2 app", "inner inner 2", "outer 2 inner", "outer outer 2"]);
    expect(text).toMatch(/^x-by: outer\r$/im);
    expect(essence(text).body).toBe("body");
  });
});

describe("third parties between", () => {
  const own = new Map<string, RequestHandler>([
    [
      "on-headers",
      (_req, res, next) => {
        onHeaders(res, () => {
          res.setHeader("X-Third", "1");
        });
        next();
      },
    ],
    ["express-session", session({ secret: "s", resave: false, saveUninitialized: true })],
    ["compression", compression({ threshold: 0 })],
    [
      "one that patches write and end",
      (_req, res, next) => {
        const { write, end } = res as unknown as Record<"write" | "end", (...args: unknown[]) => unknown>;
        Object.assign(res, {
          write: (...args: unknown[]) => write.apply(res, args),
          end: (...args: unknown[]) => end.apply(res, args),
        });
        next();
      },
    ],
  ]);
  const cases = [...own.keys()].flatMap((name) => Object.keys(SETS).map((set) => [name, set] as const));

  it.each(oneIn(4, cases))("%s, and %s on both sides", async (name, set) => {
    const kinds = SETS[set]!;
    const app = express();
    app.use(...kinds.map(tap), own.get(name)!, ...kinds.map(tap));
    app.get("/whole", (_req, res) => void res.type("text").send("body"));
    app.get("/parts", (_req, res) => {
      res.type("text").write("bo");
      setImmediate(() => res.end("dy"));
    });
    const { url } = await listen(app);
    for (const path of ["/whole", "/parts"]) {
      const answer = await fetch(url + path); // decodes
      expect([answer.status, await answer.text()]).toEqual([200, "body"]);
      expect(answer.headers.has("x-third")).toBe(name === "on-headers");
      expect(answer.headers.has("set-cookie")).toBe(name === "express-session");
      expect(answer.headers.has("content-encoding")).toBe(name === "compression");
    }
  });
});

describe("dropped", () => {
  it("what they hold is lost, and what they still do is nothing", async () => {
    const app = express();
    const told: unknown[] = [];
    app.use(tap(Passing));
    app.use((_req, res, next) => {
      const before = snapshotOf(res);
      let outlet!: Outer;
      intercept(res, (isInactive) => {
        outlet = isInactive;
        return Object.assign(new Holding(res, isInactive), { discard: () => told.push("dropped") });
      });
      intercept(res, (isInactive) => new Holding(res, isInactive));
      expect(interceptorCount(res)).toBe(3);
      next();
      expect(res.headersSent).toBe(true);
      restore(res, before);
      expect([interceptorCount(res), res.headersSent, res.writableEnded]).toEqual([1, false, false]);
      res.setHeader("X-By", "another");
      res.status(503).end("another");
      outlet.writeHead(200);
      outlet.write("late", "utf8", (error) => told.push((error as { code?: string }).code));
      outlet.end("late", "utf8", (error) => told.push((error as { code?: string }).code));
      outlet.flushHeaders();
      outlet.drain();
    });
    app.use((_req, res) => {
      res.setHeader("X-App", "1");
      res.write("lo");
      res.end("st");
    });
    const { port } = await listen(app);
    const { text } = await raw(port, GET);
    expect(essence(text)).toMatchObject({ line: "HTTP/1.1 503 Service Unavailable", body: "another" });
    expect(text).not.toMatch(/x-app/i);
    expect(told).toEqual(["dropped", "ERR_STREAM_DESTROYED", "ERR_STREAM_DESTROYED"]);
  });

  it("none, or more than there are", async () => {
    const app = express();
    app.use((_req, res) => {
      discardInside(res, -1);
      expect(interceptorCount(res)).toBe(0);
      intercept(res, (outlet) => new Passing(res, outlet));
      discardInside(res, 5);
      expect(interceptorCount(res)).toBe(1);
      res.end("body");
    });
    const { port } = await listen(app);
    expect(essence((await raw(port, GET)).text).body).toBe("body");
  });
});

describe("'drain'", () => {
  /** Tells the app to wait after each write, and to go on when `go` is called. */
  class Slow extends Passing {
    static readonly all: Slow[] = [];
    drains = 0;
    constructor(...args: ConstructorParameters<Kind>) {
      super(...args);
      Slow.all.push(this);
    }
    override onData(...args: Parameters<Interceptor["onData"]>): boolean {
      super.onData(...args);
      return false;
    }
    onDrain(): void {
      this.drains++;
    }
    go(): void {
      this.outlet.drain();
    }
  }
  beforeEach(() => void Slow.all.splice(0));

  it("comes once for each time the app had to wait, to all kinds of listeners", async () => {
    const seen: string[] = [];
    const app = express();
    app.use(tap(Passing), tap(Slow), tap(Passing));
    app.use((_req, res) => {
      const off = () => seen.push("off");
      res.on("drain", off);
      res.off("drain", off);
      res.on("drain", () => seen.push("on"));
      res.once("drain", () => seen.push("once"));
      res.addListener("drain", () => seen.push("addListener"));
      res.prependListener("drain", () => seen.push("prepend"));
      expect(res.writableNeedDrain).toBe(false);
      expect(res.write("a")).toBe(false);
      expect(res.writableNeedDrain).toBe(true);
      res.emit("drain"); // Node's own: it goes to the tap
      expect([seen.length, Slow.all[0]!.drains]).toEqual([0, 1]);
      Slow.all[0]!.go();
      Slow.all[0]!.go(); // nobody waits any more
      expect(res.writableNeedDrain).toBe(false);
      expect(seen.splice(0)).toEqual(["prepend", "on", "once", "addListener"]);
      res.write("b");
      Slow.all[0]!.go();
      expect(seen).toEqual(["prepend", "on", "addListener"]);
      res.end();
      expect(res.writableNeedDrain).toBe(false);
    });
    const { port } = await listen(app);
    expect((await raw(port, GET)).end).toBe("fin");
    expect(seen).toHaveLength(3);
  });

  it("is asked for by two, and given from the outer to the inner to the app", async () => {
    const app = express();
    let drains = 0;
    app.use(tap(Slow), tap(Slow));
    app.use((_req, res) => {
      res.on("drain", () => drains++);
      res.write("a");
      const [outer, inner] = Slow.all as [Slow, Slow];
      res.emit("drain");
      expect([outer.drains, inner.drains, drains]).toEqual([1, 0, 0]);
      outer.go();
      expect([outer.drains, inner.drains, drains]).toEqual([1, 1, 0]);
      inner.go();
      expect([outer.drains, inner.drains, drains]).toEqual([1, 1, 1]);
      res.end();
    });
    const { port } = await listen(app);
    await raw(port, GET);
    expect(drains).toBe(1);
  });

  it("of a pipe goes on to its end", async () => {
    const app = express();
    app.use(tap(Slow));
    app.use((_req, res) => {
      res.on("newListener", (event) => event === "drain" && setImmediate(() => Slow.all[0]!.go()));
      const source = new PassThrough();
      source.pipe(res);
      for (let i = 0; i < 20; i++) source.write("x".repeat(5_000));
      source.end();
    });
    const { url } = await listen(app);
    const pump = setInterval(() => Slow.all[0]?.go(), 1);
    const body = await (await fetch(url)).text();
    clearInterval(pump);
    expect(body.length).toBe(100_000);
  });

  it("is Node's own where no tap has a say in it", async () => {
    const app = express();
    let drains = 0;
    app.use(tap(Passing));
    app.use((_req, res) => {
      const more = res.write("x".repeat(5_000_000));
      expect([more, res.writableNeedDrain]).toEqual([false, true]);
      res.on("drain", () => {
        drains++;
        res.end();
      });
    });
    const { url } = await listen(app);
    expect((await (await fetch(url)).text()).length).toBe(5_000_000);
    expect(drains).toBe(1);
  });
});

it("a client that leaves while an answer is held is told to the app as ever", async () => {
  const app = express();
  const seen: unknown[] = [];
  let hasBegun = false;
  app.use(tap(Holding));
  app.use((_req, res) => {
    res.write("never seen");
    hasBegun = true;
    res.on("close", () => {
      seen.push(
        "close",
        res.write("late", (error) => seen.push((error as { code?: string }).code)),
      );
      seen.push(res.end() === res);
    });
  });
  const { url } = await listen(app);
  const request = http.get(url);
  request.on("error", () => {});
  await until(() => hasBegun);
  request.destroy();
  await until(() => seen.length === 4);
  expect(seen).toEqual(["close", false, true, "ERR_STREAM_DESTROYED"]);
});

async function certificate() {
  return (await import("../../support/certificate.js")).certificate();
}
