import { spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import net from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { isEntry } from "../../../src/cache/stores/cache-store.js";
import { type NodeRedisClient, redisStore } from "../../../src/cache/stores/redis.js";
import { decodeEntry, encodeEntry } from "../../../src/cache/stores/redis-format.js";
import { memoryLogger } from "../../support/logger.js";
import { describeWithRedis, type RedisServer, startRedis } from "../../support/redis.js";
import { until } from "../../support/server.js";
import { anyText } from "../../support/text.js";
import { asking, bodyOf, entryOf, keyOf, PACKAGES, putEntry, type TestClient } from "./support.js";

describe("an outage of Redis", () => {
  describeWithRedis("the Redis store while Redis is down", () => {
    let server: RedisServer;
    const clients: TestClient[] = [];
    beforeEach(async () => {
      server = await startRedis();
    });
    afterEach(async () => {
      for (const { end } of clients.splice(0)) end();
      await server.close();
    });

    describe.each(Object.entries(PACKAGES))("over %s", (name, connect) => {
      function make(path = server.path, timeoutMs = 250) {
        const own = connect(path);
        clients.push(own);
        const logger = memoryLogger();
        const store = redisStore({ client: own.client, timeoutMs, logger });
        const levels = () => logger.entries.map(({ level }) => level);
        return { ...own, store, logger, levels };
      }
      const key = keyOf("/a");
      const answers = async (store: ReturnType<typeof redisStore>) =>
        (await store.get(key, asking())).version > 0;
      /** Skips the pauses of the circuit. */
      async function untilItAnswers(store: ReturnType<typeof redisStore>) {
        const { now } = performance;
        let skippedMs = 0;
        const clock = jest
          .spyOn(performance, "now")
          .mockImplementation(() => now.call(performance) + skippedMs);
        for (let i = 0; !(await answers(store)); i++) {
          if (i > 1_000) throw new Error("it never came back");
          await new Promise((resolve) => setTimeout(resolve, 10));
          skippedMs += 500;
        }
        clock.mockRestore();
      }
      /** One warning for each outage and one line after it, not one for each request. */
      const ONE_EACH = /^warn,info(?:,warn,info)*$/;

      it("every promise settles within the time limit, and soon without a wait", async () => {
        await server.kill();
        const { store, levels } = make(server.path, 40);
        const timed = async (what: () => unknown) => {
          const started = performance.now();
          await what();
          return performance.now() - started;
        };
        for (let i = 0; i < 4; i++) expect(await timed(() => store.get(key, asking()))).toBeLessThan(200);
        const everything = await timed(async () => {
          for (let i = 0; i < 100; i++) {
            await store.get(key, asking());
            await store.put(key, "", "", entryOf("a"), 5, 60_000);
            await store.purge({ tag: `t${i}` });
            await store.purge("all");
            await store.stats();
          }
        });
        expect(everything).toBeLessThan(200);
        expect(await store.stats()).toEqual({ entries: 0, bytes: 0 });
        expect(levels()).toEqual(["warn"]);
      });

      it("starts without Redis, and uses it when it is there", async () => {
        await server.kill();
        const { store, levels } = make();
        for (let i = 0; i < 5; i++) expect(await answers(store)).toBe(false);
        await server.start();
        await untilItAnswers(store);
        await putEntry(store, key, entryOf("a"));
        expect(await bodyOf(store, key)).toBe("a");
        expect(levels().join()).toMatch(ONE_EACH);
      });

      it("recovers from a Redis that died under it, without a restart", async () => {
        const { store, levels, ready } = make();
        await ready();
        await untilItAnswers(store);
        await putEntry(store, key, entryOf("a"));
        expect(await bodyOf(store, key)).toBe("a");
        const dying = server.kill();
        const during = await Promise.all(Array.from({ length: 50 }, () => store.get(key, asking())));
        await dying;
        for (const { entry } of during) expect([undefined, "a"]).toContain(entry?.body.toString());
        for (let i = 0; i < 5; i++) expect(await answers(store)).toBe(false);
        await server.start();
        await untilItAnswers(store);
        await putEntry(store, key, entryOf("b"));
        expect(await bodyOf(store, key)).toBe("b");
        expect(levels().join()).toMatch(ONE_EACH);
      });

      it("waits for a slow Redis only for the time limit, and keeps purges until it answers", async () => {
        const { store, levels, ready, command } = make(server.path, 60);
        const other = make(server.path, 5_000);
        await Promise.all([ready(), other.ready()]);
        await putEntry(other.store, key, entryOf("old", { tags: ["t"] }));
        expect(await bodyOf(other.store, key)).toBe("old");
        await command("CLIENT", "PAUSE", "400", "ALL");
        const started = performance.now();
        expect(await bodyOf(store, key)).toBeUndefined();
        await store.purge({ tag: "t" });
        expect(performance.now() - started).toBeLessThan(300);
        await untilItAnswers(store);
        expect(await bodyOf(store, key)).toBeUndefined();
        expect(await bodyOf(other.store, key)).toBeUndefined();
        expect(levels().join()).toMatch(ONE_EACH);
      });

      it("sends waiting purges by itself, as other processes need them", async () => {
        // Only the store's own connection to Redis is cut, not that of the other process.
        const broken = `${server.path}.proxy`;
        const other = make(server.path, 5_000);
        await other.ready();
        await putEntry(other.store, key, entryOf("old"));
        const { store } = make(broken);
        await store.purge({ host: key.host, target: key.target });
        expect(await bodyOf(other.store, key)).toBe("old");
        const sockets = new Set<net.Socket>();
        const proxy = net.createServer((socket) => {
          const onwards = net.connect(server.path);
          for (const one of [socket, onwards]) {
            sockets.add(one);
            one.on("error", () => {});
          }
          socket.pipe(onwards).pipe(socket);
        });
        await new Promise<void>((resolve) => proxy.listen(broken, resolve));
        let body: string | undefined = "old";
        for (
          const started = performance.now();
          body !== undefined && performance.now() - started < 10_000;
        ) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          body = await bodyOf(other.store, key);
        }
        expect(body).toBeUndefined();
        for (const socket of sockets) socket.destroy();
        proxy.close();
      });

      it("when Redis is out of memory it goes on reading, and logs that once", async () => {
        const { store, logger, ready, command } = make(server.path, 2_000);
        await ready();
        await putEntry(store, key, entryOf("a"));
        await command("CONFIG", "SET", "maxmemory", "1");
        for (let i = 0; i < 5; i++) await putEntry(store, keyOf(`/${i}`), entryOf("b"));
        expect(logger.entries).toEqual([
          expect.objectContaining({
            level: "warn",
            fields: { error: expect.objectContaining({ message: expect.stringMatching(/^OOM /) }) },
            message: "cache: the Redis store refuses an operation",
          }),
        ]);
        await command("CONFIG", "SET", "maxmemory", "0");
        await putEntry(store, key, entryOf("c"));
        expect(await bodyOf(store, key)).toBe("c");
      });

      it("works on with a client that was closed: all lookups are misses", async () => {
        const { store, levels, ready, end } = make();
        await ready();
        await untilItAnswers(store);
        end();
        for (let i = 0; i < 5; i++) expect(await answers(store)).toBe(false);
        await store.purge("all");
        expect(levels()).toEqual(["warn"]);
      });

      it("leaves no error unhandled, and does not keep the process alive", async () => {
        const fixture = join(__dirname, "fixtures", "outage.ts");
        const child = spawn(process.execPath, ["--import", "tsx", fixture, name, server.path], {
          stdio: ["ignore", "pipe", "pipe"],
        });
        let said = "";
        child.stdout.on("data", (data) => (said += data));
        child.stderr.on("data", (data) => (said += data));
        const code = new Promise((resolve) => child.once("exit", resolve));
        await until(() => said.includes("up"));
        await server.kill();
        await until(() => said.includes("down"));
        await server.start();
        await until(() => said.endsWith("up\n") && said.length > 5);
        await server.kill();
        expect({ code: await code, said }).toEqual({ code: 0, said: "up\ndown\nup\ndown\n" });
      });
    });
  });
});

describe("the circuit breaker", () => {
  /** A node-redis that is controlled by the test: `answer` returns the reply to a script, throws, or hangs. */
  class FakeClient extends EventEmitter implements NodeRedisClient {
    readonly isOpen = true;
    readonly scripts: string[][] = [];
    clock = 1_000;
    answer: "works" | "hangs" | "fails" | "throws" = "works";
    withTypeMapping = () => this;

    sendCommand(args: (string | Buffer)[]): Promise<unknown> {
      this.scripts.push(args.map(String));
      switch (this.answer) {
        case "hangs":
          return new Promise(() => {});
        case "fails":
          return Promise.reject(new Error("The client is closed"));
        case "throws":
          throw new Error("The client is odd");
        default:
          return Promise.resolve([String(this.clock++), String(this.clock), null]);
      }
    }
  }

  const key = keyOf("/a");

  function make() {
    const client = new FakeClient();
    const logger = memoryLogger();
    const store = redisStore({ client, timeoutMs: 100, logger });
    const levels = () => logger.entries.map(({ level }) => level);
    const tried = async () => {
      const before = client.scripts.length;
      const looked = store.get(key, asking());
      await jest.advanceTimersByTimeAsync(100);
      await looked;
      return client.scripts.length > before;
    };
    return { client, store, logger, levels, tried };
  }

  beforeEach(() => {
    // Jest would count pending calls of these as timers, whoever made them.
    jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate"] });
  });
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  it.each([
    ["one time-out", "hangs", 1],
    ["three failures in a row", "fails", 3],
    ["three failures of a client that throws", "throws", 3],
  ] as const)("opens after %s: answers come at once, and are misses", async (_what, answer, operations) => {
    const { client, store, levels, tried } = make();
    client.answer = answer;
    for (let i = 0; i < operations; i++) expect(await tried()).toBe(true);
    expect(levels()).toEqual(["warn"]);
    const sent = client.scripts.length;
    expect(store.get(key, asking())).toEqual({ entry: undefined, known: false, version: 0, isDown: true }); // not a promise
    await store.put(key, "", "", entryOf("a"), 5, 1_000);
    expect(await store.stats()).toEqual({ entries: 0, bytes: 0 });
    expect(client.scripts).toHaveLength(sent);
  });

  it("the circuit does not open for failures with a success between them", async () => {
    const { client, levels, tried } = make();
    for (let i = 0; i < 6; i++) {
      client.answer = i % 3 === 2 ? "works" : "fails";
      expect(await tried()).toBe(true);
    }
    expect(levels()).toEqual([]);
  });

  it("an open circuit tries one operation after pauses that double from one second to thirty", async () => {
    const { client, store, levels, tried } = make();
    client.answer = "hangs";
    await tried();
    for (const pause of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      await jest.advanceTimersByTimeAsync(pause - 150);
      expect(await tried()).toBe(false);
      await jest.advanceTimersByTimeAsync(50);
      const before = client.scripts.length;
      const all = [1, 2, 3].map(() => store.get(key, asking()));
      await jest.advanceTimersByTimeAsync(100);
      await Promise.all(all);
      expect(client.scripts.length - before).toBe(1);
    }
    client.answer = "works";
    await jest.advanceTimersByTimeAsync(30_000);
    expect(await tried()).toBe(true);
    expect(await tried()).toBe(true);
    expect(levels()).toEqual(["warn", "info"]);
    client.answer = "hangs";
    await tried();
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await tried()).toBe(true);
    expect(levels()).toEqual(["warn", "info", "warn"]);
  });

  it("the circuit counts many time-outs at the same moment as one", async () => {
    const { client, store, levels, tried } = make();
    client.answer = "hangs";
    const many = Array.from({ length: 100 }, () => store.get(key, asking()));
    await jest.advanceTimersByTimeAsync(100);
    await Promise.all(many);
    expect(levels()).toEqual(["warn"]);
    client.answer = "works";
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await tried()).toBe(true);
  });

  describe("purges while it is down", () => {
    const purged = (client: FakeClient) => client.scripts.filter((args) => args.join(" ").includes(" all "));

    it("purges wait while it is down, and are sent in one script before any lookup", async () => {
      const { client, store } = make();
      client.answer = "hangs";
      const first = store.purge({ tag: "first" });
      await jest.advanceTimersByTimeAsync(100);
      await first;
      await store.purge({ tag: "t" });
      await store.purge(key);
      await store.purge({ host: undefined, target: "/a" });
      client.answer = "works";
      const sent = client.scripts.length;
      await jest.advanceTimersByTimeAsync(999);
      expect(client.scripts).toHaveLength(sent);
      await jest.advanceTimersByTimeAsync(1);
      await store.get(key, asking());
      const [purge, look, ...rest] = client.scripts.slice(sent);
      expect(purge!.slice(2, 4)).toEqual(["2", "express-portico:marks"]);
      expect(purge!.slice(5, -1).map((member) => member[0])).toEqual(["g", "g", "t"]);
      expect(look![2]).toBe("3");
      expect(rest).toEqual([]);
    });

    it("too many waiting purges become one purge of everything", async () => {
      const { client, store } = make();
      client.answer = "fails";
      for (let i = 0; i < 2_000; i++) await store.purge({ tag: `t${i}` });
      client.answer = "works";
      const sent = client.scripts.length;
      await jest.advanceTimersByTimeAsync(1_000);
      expect(client.scripts.slice(sent).map((args) => args.slice(2, -1))).toEqual([
        ["1", "express-portico:marks", "all"],
      ]);
      expect(purged(client)).toHaveLength(1);
    });

    it("a purge without a reply is sent again", async () => {
      const { client, store } = make();
      let late: (reply: string[]) => void = () => {};
      client.sendCommand = (args) => {
        client.scripts.push(args.map(String));
        return new Promise((resolve) => {
          late = resolve;
        });
      };
      const purge = store.purge("all");
      await jest.advanceTimersByTimeAsync(100);
      await purge;
      await store.purge({ tag: "t" }); // the pending one covers this one
      late(["1000"]); // confirms the first purge, but not the second one
      await jest.advanceTimersByTimeAsync(0);
      client.sendCommand = FakeClient.prototype.sendCommand;
      await jest.advanceTimersByTimeAsync(1_000);
      expect(client.scripts).toHaveLength(2);
      expect(client.scripts[1]).toContain("all");
    });
  });

  it("sends a purge that is called while another one is being sent", async () => {
    const { client, store } = make();
    const replies: ((reply: string[]) => void)[] = [];
    client.sendCommand = (args) => {
      client.scripts.push(args.map(String));
      return new Promise((resolve) => replies.push(resolve));
    };
    const purges = [
      store.purge({ tag: "first" }),
      store.purge({ tag: "second" }),
      store.purge({ tag: "first" }),
    ];
    replies[0]!(["1000"]);
    await jest.advanceTimersByTimeAsync(0);
    replies[1]!(["1001"]);
    await Promise.all(purges);
    await jest.advanceTimersByTimeAsync(100);
    const members = client.scripts.map((args) => args.slice(4, -1));
    expect(members).toEqual([[members[0]![0]], expect.arrayContaining([members[0]![0]])]);
    expect(members[1]).toHaveLength(2); // the first one is sent again: it may have been done before it was called again
  });

  it("adds one error listener for each client, and no timer that keeps the process alive", async () => {
    const { client } = make();
    redisStore({ client, logger: memoryLogger() });
    expect(client.listenerCount("error")).toBe(1);
    expect(() => client.emit("error", new Error("lost"))).not.toThrow();
  });
});

describe("the format in Redis", () => {
  const text = anyText();
  const entries = fc.record({
    status: fc.integer({ min: 200, max: 599 }),
    reason: text,
    headers: fc.array(fc.tuple(text, fc.oneof(text, fc.integer(), fc.array(text)))),
    body: fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
    requestedAt: fc.nat(),
    respondedAt: fc.nat(),
    authorized: fc.boolean(),
    tags: fc.array(text),
  });

  it("decodes what it has encoded", () => {
    fc.assert(
      fc.property(entries, (entry) => {
        expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
      }),
    );
  });

  it("never throws, and refuses what is truncated or too long", () => {
    fc.assert(
      fc.property(entries, fc.nat(), fc.uint8Array({ minLength: 1 }), (entry, at, more) => {
        const bytes = encodeEntry(entry);
        expect(decodeEntry(bytes.subarray(0, at % bytes.length))).toBeUndefined();
        expect(decodeEntry(Buffer.concat([bytes, more]))).toBeUndefined();
      }),
    );
  });

  it("refuses any other bytes, and never throws", () => {
    const magic = encodeEntry(entryOf("")).subarray(0, 4);
    fc.assert(
      fc.property(fc.uint8Array(), fc.boolean(), (bytes, isMarked) => {
        expect(decodeEntry(isMarked ? Buffer.concat([magic, bytes]) : Buffer.from(bytes))).toBeUndefined();
      }),
    );
  });

  it.each<[string, (head: Record<string, unknown>) => void]>([
    ["status", (head) => (head.s = "200")],
    ["reason", (head) => delete head.r],
    ["headers", (head) => (head.h = {})],
    ["header", (head) => (head.h = [["a"]])],
    ["header's name", (head) => (head.h = [[1, "a"]])],
    ["header's value", (head) => (head.h = [["a", null]])],
    ["header's list", (head) => (head.h = [["a", [1]]])],
    ["times", (head) => (head.q = null)],
    ["response's time", (head) => (head.p = "1")],
    ["authorization", (head) => (head.a = 1)],
    ["tags", (head) => (head.t = [1])],
    ["length", (head) => delete head.n],
  ])("refuses a wrong %s", (_what, spoil) => {
    const bytes = encodeEntry(entryOf("body"));
    const length = bytes.readUInt32BE(4);
    const head = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<string, unknown>;
    const build = () => {
      const json = Buffer.from(JSON.stringify(head));
      const size = Buffer.alloc(4);
      size.writeUInt32BE(json.length);
      return Buffer.concat([bytes.subarray(0, 4), size, json, bytes.subarray(8 + length)]);
    };
    expect(isEntry(decodeEntry(build()))).toBe(true);
    spoil(head);
    expect(isEntry(decodeEntry(build()))).toBe(false);
  });
});
