import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { isEntry } from "../../../src/cache/stores/cache-store.js";
import { redisStore } from "../../../src/cache/stores/redis.js";
import { decodeEntry, encodeEntry } from "../../../src/cache/stores/redis-format.js";
import { memoryLogger } from "../../support/logger.js";
import { buildFile } from "../../support/program.js";
import { describeWithRedis, type RedisServer, startRedis } from "../../support/redis.js";
import { until } from "../../support/server.js";
import { casesOf, inSoak, oneIn } from "../../support/soak.js";
import { anyText } from "../../support/text.js";
import { asking, bodyOf, entryOf, keyOf, PACKAGES, putEntry, type TestClient } from "./support.js";

describe("an outage of Redis", () => {
  describeWithRedis("the Redis store while Redis is down", () => {
    let server: RedisServer;
    const clients: TestClient[] = [];
    const folder = mkdtempSync(join(tmpdir(), "portico-outage-"));
    const program = join(folder, "outage.cjs");
    beforeAll(() => buildFile(join(__dirname, "fixtures/outage.ts"), program));
    afterAll(() => rmSync(folder, { recursive: true }));
    beforeEach(async () => {
      server = await startRedis();
    });
    afterEach(async () => {
      for (const { end } of clients.splice(0)) end();
      await server.close();
    });

    describe.each(oneIn(2, Object.entries(PACKAGES)))("over %s", (name, connect) => {
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

      it("works on with a client that was closed: all lookups are misses", async () => {
        const { store, levels, ready, end } = make();
        await ready();
        await untilItAnswers(store);
        end();
        for (let i = 0; i < 5; i++) expect(await answers(store)).toBe(false);
        await store.purge("all");
        expect(levels()).toEqual(["warn"]);
      });

      it("every promise settles within the time limit, and soon without a wait", async () => {
        await server.kill();
        const limitMs = 40;
        const { store, levels } = make(server.path, limitMs);
        /** How long it took, without what a timer of the same time came too late by: on a busy machine the process waits. */
        const timed = async (what: () => unknown) => {
          const started = performance.now();
          const timer = sleep(limitMs).then(() => performance.now() - started - limitMs);
          await what();
          const took = performance.now() - started;
          return took - (await timer);
        };
        for (let i = 0; i < 4; i++) expect(await timed(() => store.get(key, asking()))).toBeLessThan(200);
        let quickest = Number.POSITIVE_INFINITY;
        for (let round = 0; round < 3; round++) {
          const everything = await timed(async () => {
            for (let i = 0; i < 100; i++) {
              await store.get(key, asking());
              await store.put(key, "", "", entryOf("a"), 5, 60_000);
              await store.purge({ tag: `t${i}` });
              await store.purge("all");
              await store.stats();
            }
          });
          quickest = Math.min(quickest, everything);
        }
        expect(quickest).toBeLessThan(200);
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

      inSoak(() =>
        it("leaves no error unhandled, and does not keep the process alive", async () => {
          const child = spawn(process.execPath, [program, name, server.path], {
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
        }),
      );
    });
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
      { numRuns: casesOf(300) },
    );
  });

  it("never throws, and refuses what is truncated or too long", () => {
    fc.assert(
      fc.property(entries, fc.nat(), fc.uint8Array({ minLength: 1 }), (entry, at, more) => {
        const bytes = encodeEntry(entry);
        expect(decodeEntry(bytes.subarray(0, at % bytes.length))).toBeUndefined();
        expect(decodeEntry(Buffer.concat([bytes, more]))).toBeUndefined();
      }),
      { numRuns: casesOf(300) },
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
