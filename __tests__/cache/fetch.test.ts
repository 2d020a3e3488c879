import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { connect } from "node:net";
import { pipeline, Readable } from "node:stream";
import { pipeline as piped } from "node:stream/promises";
import express, { type RequestHandler, type Response } from "express";
import { cache, memoryStore } from "../../src/cache/index.js";
import { serve } from "../../src/serve/index.js";
import { timeout } from "../../src/timeout/index.js";
import { certificate } from "../support/certificate.js";
import { closeHttp2, connectHttp2, ask as onHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { listen, until } from "../support/server.js";
import { inSoak, oneIn, SOAK } from "../support/soak.js";
import { advance, appWith, ask, useClock } from "./support.js";

describe("fetches", () => {
  useClock();

  const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const FOR_A_MINUTE = "max-age=60";

  describe("the body", () => {
    const ways: [string, (res: import("express").Response) => void][] = [
      ["send of a buffer", (res) => void res.send(EVERY_BYTE)],
      ["end of a buffer", (res) => void res.end(EVERY_BYTE)],
      [
        "many writes",
        (res) => {
          for (const byte of EVERY_BYTE) res.write(Buffer.of(byte));
          res.end();
        },
      ],
      [
        "write and end with a chunk",
        (res) => {
          res.write(EVERY_BYTE.subarray(0, 100));
          res.end(EVERY_BYTE.subarray(100));
        },
      ],
      [
        "latin1 text",
        (res) => {
          res.write(EVERY_BYTE.toString("latin1"), "latin1");
          res.end();
        },
      ],
      ["latin1 text at the end", (res) => void res.end(EVERY_BYTE.toString("latin1"), "latin1")],
      ["utf16le", (res) => void res.end(EVERY_BYTE.toString("utf16le"), "utf16le")],
      ["hex", (res) => void res.end(EVERY_BYTE.toString("hex"), "hex")],
      ["pipe", (res) => void Readable.from([EVERY_BYTE.subarray(0, 9), EVERY_BYTE.subarray(9)]).pipe(res)],
      ["pipeline", (res) => void piped(Readable.from([EVERY_BYTE]), res)],
      [
        "writeHead first",
        (res) => {
          res.writeHead(200, "OK", { "Content-Type": "a/b" });
          res.end(EVERY_BYTE);
        },
      ],
      [
        "writeHead with a list",
        (res) => {
          res.writeHead(200, ["Content-Type", "a/b"]);
          res.end(EVERY_BYTE);
        },
      ],
      [
        "flushHeaders first",
        (res) => {
          res.flushHeaders();
          res.end(EVERY_BYTE);
        },
      ],
      ["a Uint8Array", (res) => void res.end(new Uint8Array(EVERY_BYTE))],
      [
        "a buffer that is used again",
        (res) => {
          const shared = Buffer.from(EVERY_BYTE);
          res.write(shared, () => {
            shared.fill(0);
            res.end();
          });
        },
      ],
    ];

    test.each(ways)("written by %s, the same bytes are served again", async (_name, answer) => {
      const app = await appWith((_req, res) => {
        res.set("Cache-Control", FOR_A_MINUTE);
        answer(res);
      });
      const first = await app.get();
      const second = await app.get();
      expect(first.body.equals(EVERY_BYTE)).toBe(true);
      expect(second.body.equals(EVERY_BYTE)).toBe(true);
      expect([second.did.slice(0, 3), second.headers["content-length"], app.runs()]).toEqual([
        "hit",
        "256",
        1,
      ]);
    });

    test("callbacks of write and end are called, in order", async () => {
      const called: string[] = [];
      const app = await appWith((_req, res) => {
        res.set("Cache-Control", FOR_A_MINUTE);
        res.write("a", () => called.push("write"));
        res.end("b", () => called.push("end"));
      });
      await app.get();
      await until(() => called.length === 2);
      expect(called).toEqual(["write", "end"]);
    });

    test("the first client gets the first byte while the handler still works", async () => {
      let finish: () => void = () => {};
      const app = await appWith((_req, res) => {
        res.set("Cache-Control", FOR_A_MINUTE);
        res.write("first ");
        finish = () => res.end("last");
      });
      const text = await new Promise<string>((resolve) => {
        http.get(app.server.url, { agent: false }, (response) => {
          let got = "";
          response.setEncoding("utf8").on("data", (chunk: string) => {
            got += chunk;
            if (got === "first ") finish();
          });
          response.on("end", () => resolve(got));
        });
      });
      expect(text).toBe("first last");
      expect((await app.get()).text).toBe("first last");
    });

    test("an event stream is not collected, and not stored", async () => {
      const app = await appWith((_req, res) => {
        res.set({ "Cache-Control": FOR_A_MINUTE, "Content-Type": "text/event-stream" });
        res.end("data: 1\n\n");
      });
      expect((await app.get()).did).toMatch(/fwd=uri-miss; detail=/);
      await app.get();
      expect(app.runs()).toBe(2);
    });
  });

  describe("an incomplete answer is not stored", () => {
    const broken: [string, RequestHandler][] = [
      [
        "a handler that destroys the response",
        (_req, res) => {
          res.write("half");
          setImmediate(() => res.destroy());
        },
      ],
      [
        "a source that fails",
        (_req, res) => {
          const source = new Readable({
            read() {
              this.push("half");
              this.destroy(new Error("broken"));
            },
          });
          piped(source, res).catch(() => {});
        },
      ],
      [
        "fewer bytes than were declared",
        (_req, res) => {
          res.set("Content-Length", "10");
          res.write("half");
          res.end(() => res.destroy());
        },
      ],
      [
        "a handler that throws in the middle",
        (_req, res) => {
          res.write("half");
          throw new Error("broken");
        },
      ],
    ];

    test.each(broken)("%s", async (_name, answer) => {
      let first = true;
      const app = await appWith(
        (req, res, next) => {
          res.set("Cache-Control", FOR_A_MINUTE);
          if (!first) return res.send("whole");
          first = false;
          return answer(req, res, next);
        },
        { setup: (express) => express.set("env", "test") },
      );
      await app.get().catch(() => {});
      const second = await app.get();
      expect([second.text, app.runs()]).toEqual(["whole", 2]);
    });

    test("after a client has left, the next one asks the handler", async () => {
      let responses = 0;
      const app = await appWith((_req, res) => {
        res.set("Cache-Control", FOR_A_MINUTE);
        if (++responses > 1) res.send("whole");
        else res.write("half");
      });
      await new Promise<void>((resolve) => {
        const request = http.get(app.server.url, { agent: false }, (response) => {
          response.once("data", () => request.destroy());
          response.once("error", () => {});
          response.once("close", () => resolve());
        });
        request.on("error", () => {});
      });
      expect((await app.get()).text).toBe("whole");
      expect((await app.get()).did).toMatch(/^hit/);
    });

    test("bytes beyond the declared length are neither sent nor stored", async () => {
      const app = await appWith((_req, res) => {
        res.set({ "Cache-Control": FOR_A_MINUTE, "Content-Length": "4" }).end("fourteen");
      });
      expect((await app.get()).text).toBe("four");
      expect((await app.get()).text).toBe("four");
    });

    test.each([
      ["declared", true],
      ["not declared", false],
    ])("an answer that is too large, %s, is sent whole and not stored", async (_name, declared) => {
      const large = Buffer.alloc(300_000, "x");
      const app = await appWith(
        (_req, res) => {
          res.set("Cache-Control", FOR_A_MINUTE);
          if (declared) return void res.send(large);
          res.write(large.subarray(0, 100_000));
          res.end(large.subarray(100_000));
        },
        { options: { store: memoryStore({ maxBytes: 1_000_000, maxEntryBytes: 200_000 }) } },
      );
      for (let i = 0; i < 2; i++) expect((await app.get()).body.equals(large)).toBe(true);
      expect([app.runs(), (await app.cached.stats()).entries]).toEqual([2, 0]);
    });

    test("the answer of an inner timeout is not stored", async () => {
      let slow = true;
      const app = await appWith((_req, res) => {
        const answer = () => res.set("Cache-Control", FOR_A_MINUTE).send("late");
        if (slow) setTimeout(answer, 30);
        else answer();
      }, {});
      const inner = timeout(5);
      app.server.server.removeAllListeners("request");
      const express = (await import("express")).default;
      const whole = express();
      whole.use(app.cached, inner, (_req, res) => {
        if (slow) setTimeout(() => res.set("Cache-Control", FOR_A_MINUTE).send("late"), 30);
        else res.set("Cache-Control", FOR_A_MINUTE).send("in time");
      });
      app.server.server.on("request", whole);
      expect((await ask(app.server.url)).status).toBe(503);
      slow = false;
      expect((await ask(app.server.url)).text).toBe("in time");
      await new Promise((resolve) => setTimeout(resolve, 40));
      expect((await ask(app.server.url)).text).toBe("in time");
    });
  });

  describe("many at once", () => {
    function gated(answer: RequestHandler): { handler: RequestHandler; open: () => void } {
      let open: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      return {
        open,
        handler: async (req, res, next) => {
          await gate;
          return answer(req, res, next);
        },
      };
    }

    const waiting = () => new Promise((resolve) => setTimeout(resolve, 40));

    const crowd = SOAK ? 500 : 100;
    test(`a stampede of ${crowd} runs the handler once`, async () => {
      const { handler, open } = gated(
        (_req, res) => void res.set("Cache-Control", FOR_A_MINUTE).send("page"),
      );
      const app = await appWith(handler);
      const answers = Array.from({ length: crowd }, () => app.get());
      await until(() => app.runs() === 1);
      await waiting();
      open();
      const done = await Promise.all(answers);
      expect(app.runs()).toBe(1);
      expect(new Set(done.map(({ text }) => text))).toEqual(new Set(["page"]));
      const collapsed = done.filter(({ did }) => /^fwd=uri-miss; ttl=\d+; collapsed$/.test(did)).length;
      const hits = done.filter(({ did }) => did.startsWith("hit")).length;
      expect(collapsed + hits).toBe(crowd - 1);
      expect(collapsed).toBeGreaterThan(0);
    });

    test("after an answer that cannot be shared, the waiting requests all ask, side by side", async () => {
      const { handler, open } = gated(
        (_req, res) => void res.set("Cache-Control", "private, max-age=60").send("mine"),
      );
      const app = await appWith(handler);
      const answers = Array.from({ length: 10 }, () => app.get());
      await until(() => app.runs() === 1);
      await waiting();
      open();
      await Promise.all(answers);
      expect(app.runs()).toBe(10);
      // Hit-for-miss: the next requests do not wait.
      const second = gated((_req, res) => void res.send("x"));
      void second;
      await Promise.all(Array.from({ length: 5 }, () => app.get()));
      expect(app.runs()).toBe(15);
    });

    test("variants do not wait for one another", async () => {
      const started: string[] = [];
      const waits: (() => void)[] = [];
      const app = await appWith((req, res) => {
        const language = String(req.headers["accept-language"]);
        started.push(language);
        res.set({ "Cache-Control": FOR_A_MINUTE, Vary: "Accept-Language" });
        res.write("in ");
        waits.push(() => res.end(language));
      });
      const fr = app.get("/", { "accept-language": "fr" });
      await until(() => started.length === 1);
      const more = [app.get("/", { "accept-language": "de" }), app.get("/", { "accept-language": "fr" })];
      await until(() => started.length === 2);
      for (const finish of waits) finish();
      expect((await Promise.all([fr, ...more])).map(({ text }) => text)).toEqual(["in fr", "in de", "in fr"]);
      expect(started).toEqual(["fr", "de"]);
    });

    test("when the fetching client leaves, another request takes over", async () => {
      const pending: (() => void)[] = [];
      const app = await appWith((_req, res) => {
        pending.push(() => res.set("Cache-Control", FOR_A_MINUTE).send("page"));
      });
      const leaver = http.get(app.server.url, { agent: false });
      leaver.on("error", () => {});
      await until(() => app.runs() === 1);
      const answers = Array.from({ length: 5 }, () => app.get());
      await waiting();
      leaver.destroy();
      await until(() => app.runs() === 2);
      pending[1]!();
      for (const answer of await Promise.all(answers)) expect(answer.text).toBe("page");
      expect(app.runs()).toBe(2);
    });

    test("authenticated requests do not wait", async () => {
      const { handler, open } = gated(
        (req, res) => void res.set("Cache-Control", FOR_A_MINUTE).send(req.get("authorization")),
      );
      const app = await appWith(handler);
      const answers = ["a", "b", "c"].map((authorization) => app.get("/", { authorization }));
      await until(() => app.runs() === 3);
      open();
      expect((await Promise.all(answers)).map(({ text }) => text)).toEqual(["a", "b", "c"]);
    });

    test("no request waits longer than five seconds for a slow handler", async () => {
      const finish: (() => void)[] = [];
      const app = await appWith(
        (_req, res) => void finish.push(() => res.set("Cache-Control", FOR_A_MINUTE).send("x")),
      );
      jest.useFakeTimers({
        doNotFake: ["nextTick", "setImmediate", "queueMicrotask", "Date", "performance"],
      });
      try {
        const first = app.get();
        while (app.runs() < 1) await new Promise((resolve) => setImmediate(resolve));
        const second = app.get();
        for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
        expect(app.runs()).toBe(1);
        while (app.runs() < 2) {
          jest.advanceTimersByTime(5_000);
          await new Promise((resolve) => setImmediate(resolve));
        }
        for (const one of finish) one();
        expect((await Promise.all([first, second])).map(({ text }) => text)).toEqual(["x", "x"]);
      } finally {
        jest.useRealTimers();
      }
    });
  });
});

describe("slow clients", () => {
  useClock();
  afterEach(closeHttp2);

  const MIB = 1024 * 1024;
  const PIECE = Buffer.alloc(16 * 1024, "a");

  /** Ways to write a body in pieces and to wait for the client. */
  const ways: Record<string, (res: Response, pieces: number) => void> = {
    "pipe of a stream": (res, pieces) => void Readable.from(many(pieces)).pipe(res),
    pipeline: (res, pieces) => void pipeline(Readable.from(many(pieces)), res, () => {}),
    "pipeline of an iterable": (res, pieces) => void pipeline(many(pieces), res, () => {}),
    "write and drain": async (res, pieces) => {
      for (const piece of many(pieces)) {
        if (!res.write(piece) && !res.destroyed) await Promise.race([once(res, "drain"), once(res, "close")]);
      }
      res.end();
    },
  };

  function* many(pieces: number): Generator<Buffer> {
    for (let i = 0; i < pieces; i++) yield PIECE;
  }

  interface Shop {
    readonly app: express.Express;
    readonly runs: () => number;
    readonly cached: ReturnType<typeof cache>;
  }

  function shopOf(stream: (res: Response) => void, maxEntryBytes = MIB, cacheControl = "max-age=60"): Shop {
    let runs = 0;
    const app = express();
    const cached = cache({ store: memoryStore({ maxEntryBytes }) });
    app.use(cached);
    app.get("/slow", (_req, res) => void res.write("head")); // never ends
    app.use((_req, res) => {
      runs++;
      res.set("Cache-Control", cacheControl).set("Content-Type", "text/plain");
      stream(res);
    });
    return { app, cached, runs: () => runs };
  }

  async function serveShop({ app }: Shop) {
    const tls = await certificate();
    return serve(app, { port: 0, host: "127.0.0.1", http2: true, tls, logger: memoryLogger() });
  }

  /** An HTTP/2 client that never lets the server send a byte of a body. */
  async function heldOnHttp2(url: string, path = "/page"): Promise<() => void> {
    const client = http2.connect(url, { rejectUnauthorized: false, settings: { initialWindowSize: 0 } });
    client.on("error", () => {});
    await once(client, "remoteSettings");
    const stream = client.request({ ":path": path });
    stream.on("error", () => {});
    await once(stream, "response");
    return () => client.destroy();
  }

  /** An HTTP/1 client whose first answer never ends: pipelined answers after it cannot be sent. */
  function heldOnHttp1(url: string, path = "/page"): () => void {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    const host = `Host: ${new URL(url).host}`;
    socket.write(`GET /slow HTTP/1.1\r\n${host}\r\n\r\nGET ${path} HTTP/1.1\r\n${host}\r\n\r\n`);
    socket.on("error", () => {});
    return () => socket.destroy();
  }

  describe.each(
    Object.keys(ways),
  )("an answer that is written by %s, to a client that does not read", (way) => {
    if (oneIn(3, Object.keys(ways)).includes(way))
      test("over HTTP/2 is stored: no other client waits, and the handler runs once", async () => {
        const shop = shopOf((res) => ways[way]!(res, 40));
        const served = await serveShop(shop);
        const release = await heldOnHttp2(served.url);
        const client = connectHttp2(served.url);
        for (let i = 0; i < 3; i++)
          expect((await onHttp2(client, "/page")).body.length).toBe(40 * PIECE.length);
        expect(shop.runs()).toBe(1);
        release();
        client.close();
        await served.close();
      });

    test("over HTTP/1 is stored: no other client waits, and the handler runs once", async () => {
      const shop = shopOf((res) => ways[way]!(res, 40));
      const { url } = await listen(shop.app);
      const release = heldOnHttp1(url);
      await until(() => shop.runs() === 1);
      const { host } = new URL(url);
      const answers = await Promise.all([1, 2, 3].map(() => ask(`${url}/page`, { headers: { host } })));
      for (const { text } of answers) expect(text.length).toBe(40 * PIECE.length);
      expect(shop.runs()).toBe(1);
      release();
    });
  });

  test("a client that does not read delays no other after an answer has expired and was fetched again", async () => {
    for (const cacheControl of [
      "max-age=1",
      "max-age=1, stale-while-revalidate=60",
      "max-age=1, must-revalidate",
    ]) {
      const shop = shopOf((res) => ways["pipe of a stream"]!(res, 40), MIB, cacheControl);
      const { url } = await listen(shop.app);
      const { host } = new URL(url);
      const releases: (() => void)[] = [];
      for (let round = 1; round <= 3; round++) {
        const runs = shop.runs();
        releases.push(heldOnHttp1(url));
        await until(() => shop.runs() > runs);
        expect((await ask(`${url}/page`, { headers: { host } })).text.length).toBe(40 * PIECE.length);
        advance(5);
      }
      for (const release of releases) release();
    }
  });

  test("an answer that gets too large to be stored goes at its client's pace, and no request waits for it", async () => {
    let written = 0;
    const shop = shopOf((res) => {
      if (res.req.method === "HEAD") return void res.end();
      const body = Readable.from(many(4_000));
      body.on("data", () => written++);
      body.pipe(res);
    }, 8 * PIECE.length);
    const { url } = await listen(shop.app);
    const release = heldOnHttp1(url);
    await until(() => shop.runs() === 1 && written > 8);
    const before = written;
    const other = await ask(`${url}/other`, { method: "HEAD" });
    expect(other.status).toBe(200);
    expect(written).toBeLessThan(before + 100);
    release();
  });

  inSoak(() =>
    describe("what answers run ahead of their clients", () => {
      const WHOLE = 6 * MIB;

      test("is limited: of many unread answers most go at their clients' pace, and requests stop waiting for them", async () => {
        const written = new Map<string, number>();
        const shop = shopOf((res) => {
          const path = res.req.url;
          const body = Readable.from(many(WHOLE / PIECE.length));
          body.on("data", (piece: Buffer) => written.set(path, (written.get(path) ?? 0) + piece.length));
          body.pipe(res);
        }, 8 * MIB);
        const { url } = await listen(shop.app);
        const releases = Array.from({ length: 8 }, (_, i) => heldOnHttp1(url, `/page/${i}`));
        await until(() => written.size === 8);
        const sum = () => [...written.values()].reduce((all, one) => all + one, 0);
        await until(() => sum() > 15 * MIB);
        expect(sum()).toBeLessThan(18 * MIB);
        // The ninth is blocked at once: the next request fetches by itself, without delay.
        releases.push(heldOnHttp1(url, "/page/9"));
        await until(() => written.has("/page/9"));
        const { host } = new URL(url);
        const answer = await ask(`${url}/page/9`, { headers: { host } });
        expect(answer.text.length).toBe(WHOLE);
        expect((await ask(`${url}/page/9`, { headers: { host } })).did).toMatch(/^hit/);
        for (const release of releases) release();
      });

      test("is released when the clients leave", async () => {
        const shop = shopOf((res) => ways["pipe of a stream"]!(res, WHOLE / PIECE.length), 8 * MIB);
        const { url } = await listen(shop.app);
        const { host } = new URL(url);
        for (let round = 0; round < (SOAK ? 8 : 4); round++) {
          const release = heldOnHttp1(url, `/page/${round}`);
          await until(() => shop.runs() === round + 1);
          const answer = await ask(`${url}/page/${round}`, { headers: { host } });
          expect([answer.text.length, shop.runs()]).toEqual([WHOLE, round + 1]);
          release();
        }
      });
    }),
  );

  describe("a handler that waits for its client by other means", () => {
    const slow = (res: Response) => {
      let left = 40;
      const next = (): void => {
        if (left-- > 0) res.write(PIECE, next);
        else res.end();
      };
      next();
    };

    test("is waited for during five seconds, and then one other request fetches, once", async () => {
      const now = performance.now.bind(performance);
      let ahead = 0;
      jest.spyOn(performance, "now").mockImplementation(() => now() + ahead);
      const shop = shopOf(slow);
      const { url } = await listen(shop.app);
      const { host } = new URL(url);
      const release = heldOnHttp1(url);
      await until(() => shop.runs() === 1);
      ahead += 5_000;
      const answers = await Promise.all([1, 2, 3].map(() => ask(`${url}/page`, { headers: { host } })));
      for (const { text } of answers) expect(text.length).toBe(40 * PIECE.length);
      expect(shop.runs()).toBe(2);
      expect((await ask(`${url}/page`, { headers: { host } })).did).toMatch(/^hit/);
      release();
    });

    test("a waiting request takes over when the fetching client leaves", async () => {
      const shop = shopOf(slow);
      const { url } = await listen(shop.app);
      const { host } = new URL(url);
      const release = heldOnHttp1(url);
      await until(() => shop.runs() === 1);
      const waiting = Promise.all([1, 2, 3].map(() => ask(`${url}/page`, { headers: { host } })));
      await ask(`${url}/other`, { method: "HEAD" });
      release();
      for (const { text } of await waiting) expect(text.length).toBe(40 * PIECE.length);
      expect(shop.runs()).toBeLessThanOrEqual(3);
    });
  });
});
