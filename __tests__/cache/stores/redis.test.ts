import { type RedisStoreOptions, redisStore } from "../../../src/cache/stores/redis.js";
import { memoryLogger } from "../../support/logger.js";
import { describeWithRedis, type RedisServer, startRedis } from "../../support/redis.js";
import { SOAK } from "../../support/soak.js";
import { asking, bodyOf, entryOf, keyOf, PACKAGES, putEntry, type TestClient } from "./support.js";

describeWithRedis("the Redis store", () => {
  let server: RedisServer;
  const clients: TestClient[] = [];
  beforeAll(async () => {
    server = await startRedis();
  });
  afterEach(async () => {
    await clients[0]?.command("FLUSHALL");
    for (const { end } of clients.splice(0)) end();
  });
  afterAll(() => server.close());

  describe.each(Object.entries(PACKAGES))("over %s", (name, connect) => {
    const logger = memoryLogger();
    async function make(options: Partial<RedisStoreOptions> = {}) {
      const own = connect(server.path);
      clients.push(own);
      await own.ready();
      return { ...own, store: redisStore({ client: own.client, timeoutMs: 10_000, logger, ...options }) };
    }
    afterEach(() => {
      expect(logger.entries).toEqual([]);
    });

    it("returns what was stored: each byte, header and member", async () => {
      const { store } = await make();
      const bytes = Buffer.from(Array.from({ length: 256 * 300 }, (_, i) => i % 256));
      const entry = entryOf(bytes, {
        status: 299,
        reason: "Fine",
        headers: [
          ["X-One", "\u00e9\u00ff \ttab"],
          ["Content-Length", 7],
          ["Link", ["a", "b"]],
        ],
        authorized: true,
        tags: ["a", "\n", "", "\u2028 \ud800"],
      });
      await putEntry(store, keyOf("/a"), entry);
      const found = await store.get(keyOf("/a"), asking());
      expect(found.entry!.body.equals(bytes)).toBe(true);
      const withoutBody = { ...found, entry: { ...found.entry, body: undefined } };
      expect(withoutBody).toEqual({
        entry: { ...entry, body: undefined },
        known: true,
        version: expect.any(Number),
      });
    });

    it("needs one round trip for known lists of Vary fields, and two for unknown ones", async () => {
      const { store, command } = await make();
      const { store: other } = await make();
      const calls = async () => {
        const stats = String(await command("INFO", "commandstats"));
        return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
      };
      const fields = "accept-language";
      await putEntry(store, keyOf("/a"), entryOf("plain"));
      await putEntry(store, keyOf("/b"), entryOf("varied"), { fields });
      const counted: number[] = [];
      for (const target of ["/a", "/b", "/b"]) {
        const before = await calls();
        expect(await bodyOf(other, keyOf(target))).toBeDefined();
        counted.push((await calls()) - before);
      }
      expect(counted).toEqual([1, 2, 1]);
    });

    it("every key expires, after at most 31 days", async () => {
      const { store, command } = await make();
      const forever = Number.MAX_SAFE_INTEGER;
      await putEntry(store, keyOf("/a"), entryOf("a", { tags: ["t"] }), { keepMs: forever });
      await putEntry(store, keyOf("/b"), entryOf("b"), { fields: "x", keepMs: 5_000 });
      await store.get(keyOf("/c"), asking());
      await store.purge({ host: "a.example", target: "/a" });
      await store.purge({ host: undefined, target: "/d" });
      await store.purge({ tag: "t" });
      await putEntry(store, keyOf("/a"), entryOf("a", { tags: ["t"] }), { keepMs: forever });
      const keys = (await command("KEYS", "*")) as string[];
      const kinds = new Set(keys.map((key) => key.split(":")[1]));
      expect(kinds).toEqual(new Set(["marks", "v", "e"]));
      for (const key of keys) {
        const left = Number(await command("PTTL", key));
        expect(left).toBeGreaterThan(0);
        expect(left).toBeLessThanOrEqual((key.includes(":e:") ? 30 : 31) * 86_400_000);
      }
      await store.purge("all");
      for (const key of (await command("KEYS", "*")) as string[]) {
        expect(Number(await command("PTTL", key))).toBeGreaterThan(0);
      }
    });

    it("an expired entry is a miss", async () => {
      const { store } = await make();
      await putEntry(store, keyOf("/a"), entryOf("a"), { keepMs: 1 });
      await putEntry(store, keyOf("/b"), entryOf("b"), { keepMs: 0 });
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(await store.get(keyOf("/a"), asking())).toMatchObject({ entry: undefined, known: false });
      expect(await store.get(keyOf("/b"), asking())).toMatchObject({ entry: undefined, known: false });
    });

    it("a purge reaches all other clients at once", async () => {
      const { store: one } = await make();
      const { store: two } = await make();
      const key = keyOf("/a");
      for (const target of [
        "all",
        { host: "a.example", target: "/a" },
        { host: undefined, target: "/a" },
        { tag: "t" },
      ] as const) {
        await putEntry(one, key, entryOf("old", { tags: ["s", "t"] }), { fields: "x" });
        expect(await bodyOf(two, key)).toBe("old");
        await one.purge(target);
        expect(await bodyOf(two, key)).toBeUndefined();
        await putEntry(two, key, entryOf("new", { tags: ["s", "t"] }));
        expect(await bodyOf(one, key)).toBe("new");
      }
    });

    it("sends its scripts again if the server has lost them", async () => {
      const { store, command } = await make();
      await putEntry(store, keyOf("/a"), entryOf("a"));
      await command("SCRIPT", "FLUSH");
      expect(await bodyOf(store, keyOf("/a"))).toBe("a");
      await command("SCRIPT", "FLUSH");
      await store.purge("all");
      expect(await bodyOf(store, keyOf("/a"))).toBeUndefined();
    });

    it("counts entries and their bytes", async () => {
      const { store } = await make();
      expect(await store.stats()).toEqual({ entries: 0, bytes: 0 });
      for (let i = 0; i < 30; i++) await putEntry(store, keyOf(`/${i}`), entryOf(Buffer.alloc(1_000)));
      const { entries, bytes } = await store.stats();
      expect(entries).toBe(30);
      expect(bytes).toBeGreaterThan(30_000);
      expect(bytes).toBeLessThan(40_000);
    });

    it("leaves the client unchanged for the app", async () => {
      const { store, command } = await make();
      await putEntry(store, keyOf("/a"), entryOf("a"));
      const replies = Promise.all([
        command("SET", "own", "\u00e9"),
        store.get(keyOf("/a"), asking()),
        command("GET", "own"),
      ]);
      expect((await replies)[2]).toBe("\u00e9");
    });

    it("works with many operations at once", async () => {
      const { store: one } = await make();
      const { store: two } = await make();
      await Promise.all(
        Array.from({ length: SOAK ? 500 : 150 }, (_, i) =>
          putEntry(i % 2 ? one : two, keyOf(`/${i % 50}`), entryOf(`${i % 50}`)),
        ),
      );
      for (let i = 0; i < 50; i++) expect(await bodyOf(one, keyOf(`/${i}`))).toBe(`${i}`);
    });

    if (!SOAK && name !== "node-redis") return; // what follows is the same over both clients

    it("stores empty bodies, and no body over its limit", async () => {
      const { store } = await make();
      await putEntry(store, keyOf("/empty"), entryOf(""));
      await putEntry(store, keyOf("/most"), entryOf(Buffer.alloc(store.maxEntryBytes)));
      await putEntry(store, keyOf("/more"), entryOf(Buffer.alloc(store.maxEntryBytes + 1)));
      expect(await bodyOf(store, keyOf("/empty"))).toBe("");
      expect(await bodyOf(store, keyOf("/most"))).toHaveLength(store.maxEntryBytes);
      expect(await bodyOf(store, keyOf("/more"))).toBeUndefined();
    });

    it.each([
      ["all", "all", false],
      ["the resource", { host: "a.example", target: "/a" }, false],
      ["the target on all hosts", { host: undefined, target: "/a" }, false],
      ["a tag of it", { tag: "t" }, false],
      ["another resource", { host: "a.example", target: "/b" }, true],
      ["another host's", { host: "b.example", target: "/a" }, true],
      ["another tag", { tag: "/a" }, true],
    ] as const)("a fill that began before a purge of %s", async (_what, target, isStored) => {
      const { store } = await make();
      const { store: other } = await make();
      const { version } = await store.get(keyOf("/a"), asking());
      await other.purge(target);
      await store.put(keyOf("/a"), "", "", entryOf("old", { tags: ["s", "t"] }), version, 60_000);
      expect(await bodyOf(store, keyOf("/a"))).toBe(isStored ? "old" : undefined);
    });

    it("does not store an answer whose lookup was over an hour ago by Redis's clock, as purges are only remembered for so long", async () => {
      const { store, command } = await make();
      const { version } = await store.get(keyOf("/a"), asking());
      const secondsAgo = (seconds: number) => version - seconds * 1_000_000;
      await command("ZADD", "express-portico:marks", String(secondsAgo(7_200)), "all"); // as if Redis had been in use for long
      await store.put(keyOf("/a"), "", "", entryOf("old"), secondsAgo(3_700), 60_000);
      expect(await bodyOf(store, keyOf("/a"))).toBeUndefined();
      await store.put(keyOf("/a"), "", "", entryOf("slow"), secondsAgo(3_500), 60_000);
      expect(await bodyOf(store, keyOf("/a"))).toBe("slow");
    });

    it("keeps the lists of Vary fields as long as the longest answer under them", async () => {
      const { store, command } = await make();
      await putEntry(store, keyOf("/a"), entryOf("long"), {
        fields: "l",
        request: { l: "1" },
        keepMs: 60_000,
      });
      await putEntry(store, keyOf("/a"), entryOf("short"), {
        fields: "l",
        request: { l: "2" },
        keepMs: 1_000,
      });
      const [lists] = (await command("KEYS", "*:v:*")) as string[];
      expect(Number(await command("PTTL", lists!))).toBeGreaterThan(30_000);
    });

    it("does not depend on the clocks of the processes", async () => {
      const { store } = await make();
      const key = keyOf("/a");
      const future = Date.now() + 3_600_000;
      await putEntry(store, key, entryOf("old", { requestedAt: future, respondedAt: future }));
      const now = jest.spyOn(Date, "now").mockReturnValue(5);
      expect(await bodyOf(store, key)).toBe("old");
      await store.purge({ host: key.host, target: key.target });
      now.mockReturnValue(future);
      expect(await bodyOf(store, key)).toBeUndefined();
      now.mockRestore();
    });

    it("its times only go forward, even if Redis's clock goes back", async () => {
      const { store, command } = await make();
      const ahead = (Date.now() + 5_000) * 1_000;
      await store.get(keyOf("/a"), asking());
      await command("ZADD", "express-portico:marks", String(ahead), "clock");
      await putEntry(store, keyOf("/a"), entryOf("old", { tags: ["t"] }));
      expect(await bodyOf(store, keyOf("/a"))).toBe("old");
      await store.purge({ tag: "t" });
      expect(await bodyOf(store, keyOf("/a"))).toBeUndefined();
      await putEntry(store, keyOf("/a"), entryOf("new", { tags: ["t"] }));
      expect(await bodyOf(store, keyOf("/a"))).toBe("new");
    });

    it("takes everything for purged if Redis is in an older state than before", async () => {
      const { store, command } = await make();
      await putEntry(store, keyOf("/a"), entryOf("old", { tags: ["t"] }));
      const marks = "express-portico:marks";
      const [clock, all] = [await command("ZSCORE", marks, "clock"), await command("ZSCORE", marks, "all")];
      await store.purge({ tag: "t" });
      await command("DEL", marks);
      await command("ZADD", marks, String(clock), "clock", String(all), "all");
      expect(await bodyOf(store, keyOf("/a"))).toBeUndefined();
      expect(await bodyOf(store, keyOf("/a"))).toBeUndefined();
      await putEntry(store, keyOf("/a"), entryOf("new"));
      expect(await bodyOf(store, keyOf("/a"))).toBe("new");
    });

    it("takes everything for purged if the marks of the purges are lost", async () => {
      const { store, command } = await make();
      await putEntry(store, keyOf("/a"), entryOf("old", { tags: ["t"] }));
      await store.purge({ tag: "t" });
      await command("DEL", "express-portico:marks");
      expect(await bodyOf(store, keyOf("/a"))).toBeUndefined();
      await putEntry(store, keyOf("/a"), entryOf("new", { tags: ["t"] }));
      expect(await bodyOf(store, keyOf("/a"))).toBe("new");
    });

    it("never confuses hosts, targets, partitions, lists and variants, whatever their text", async () => {
      const { store } = await make();
      const parts = [
        "",
        "a",
        "a:b",
        "b",
        ":",
        "a b",
        "a\nb",
        "\u0000",
        "1:a",
        "\ud800",
        "\ud801",
        "*",
        "a\r\nFLUSHALL",
      ];
      const all = parts.flatMap((x) => parts.map((y) => [x, y] as const));
      const bodies = new Map<string, [ReturnType<typeof keyOf>, string, string]>();
      for (const [x, y] of all) bodies.set(`host ${JSON.stringify([x, y])}`, [keyOf(y, x), "", ""]);
      for (const [x, y] of all)
        bodies.set(`partition ${JSON.stringify([x, y])}`, [keyOf("/d", x, `/${y}`), "", ""]);
      for (const [x, y] of all) bodies.set(`fields ${JSON.stringify([x, y])}`, [keyOf(`/v${x}`), "f", y]);
      const { version } = await store.get(keyOf("/"), asking());
      await Promise.all(
        [...bodies].map(([body, [key, fields, variant]]) =>
          store.put(key, fields, variant, entryOf(body), version, 60_000),
        ),
      );
      const found = await Promise.all(
        [...bodies.values()].map(([key, , variant]) =>
          store.get(key, (fields) => (fields === "" ? "" : variant)),
        ),
      );
      expect(found.map(({ entry }) => entry?.body.toString())).toEqual([...bodies.keys()]);
    });

    it("two prefixes are separate, also in purges and stats", async () => {
      const { store: one, command } = await make({ prefix: "a:" });
      const { store: two } = await make({ prefix: "a:e:" });
      const { store: odd } = await make({ prefix: "[*?\\" });
      await putEntry(one, keyOf("/a"), entryOf("one"));
      await putEntry(two, keyOf("/a"), entryOf("two"));
      await putEntry(two, keyOf("/b"), entryOf("b"));
      expect(await bodyOf(odd, keyOf("/a"))).toBeUndefined();
      await putEntry(odd, keyOf("/a"), entryOf("odd"));
      await one.purge("all");
      expect(await bodyOf(one, keyOf("/a"))).toBeUndefined();
      expect(await bodyOf(two, keyOf("/a"))).toBe("two");
      expect(await two.stats()).toEqual({ entries: 2, bytes: expect.any(Number) });
      expect(await odd.stats()).toMatchObject({ entries: 1 });
      for (const key of (await command("KEYS", "*")) as string[]) expect(key).toMatch(/^(?:a:|\[\*\?\\)/);
    });

    it.each([
      ["cut", ["HSET", "b", "XPE"]],
      ["empty", ["HSET", "b", ""]],
      ["of a newer codec", ["HSET", "b", "XPE\u0002abcdefgh"]],
      ["of a newer layout", ["HSET", "v", "2"]],
      ["without its version", ["HDEL", "s"]],
      ["with a version that is not a number", ["HSET", "s", "soon"]],
      ["without its tags", ["HDEL", "g"]],
      ["of another type", ["SET", "x"]],
      ["gone", ["DEL"]],
    ])("an entry that is %s is a miss, and can be replaced", async (_how, [command, ...args]) => {
      const own = await make();
      const { store } = own;
      await putEntry(store, keyOf("/a"), entryOf("old"));
      const [key] = (await own.command("KEYS", "*:e:*")) as string[];
      await own.command(command!, key!, ...args);
      expect(await store.get(keyOf("/a"), asking())).toMatchObject({ entry: undefined });
      expect(await store.stats()).toMatchObject({ entries: expect.any(Number) });
      await putEntry(store, keyOf("/a"), entryOf("new"));
      expect(await bodyOf(store, keyOf("/a"))).toBe("new");
    });

    it.each([
      ["of another type", ["SET", "x"]],
      ["of a form not known", ["HSET", "l", "newer", "lx", "1"]],
      ["gone", ["DEL"]],
    ])("a list of Vary fields that is %s is a miss, and can be replaced", async (_how, [
      command,
      ...args
    ]) => {
      const own = await make();
      const { store } = own;
      await putEntry(store, keyOf("/a"), entryOf("old"));
      const [key] = (await own.command("KEYS", "*:v:*")) as string[];
      await own.command(command!, key!, ...args);
      await putEntry(store, keyOf("/a"), entryOf("new"), { fields: "x" });
      expect(await bodyOf(store, keyOf("/a"))).toBe("new");
    });

    it("drops the oldest of more than four lists of Vary fields for good", async () => {
      const { store } = await make();
      for (const fields of ["a", "b", "c", "d", "a", "e"]) {
        await putEntry(store, keyOf("/"), entryOf(fields), { fields, request: { [fields]: "1" } });
      }
      for (const fields of ["a", "c", "d", "e"]) {
        expect(await bodyOf(store, keyOf("/"), { [fields]: "1" })).toBe(fields);
      }
      expect(await bodyOf(store, keyOf("/"), { b: "1" })).toBeUndefined();
      await putEntry(store, keyOf("/"), entryOf("x"), { fields: "b", request: { b: "2" } });
      expect(await bodyOf(store, keyOf("/"), { b: "1" })).toBeUndefined();
    });

    it("remembers a limited number of purges, and still misses none", async () => {
      const { store, command } = await make();
      await putEntry(store, keyOf("/old"), entryOf("old", { tags: ["old"] }));
      await store.purge({ tag: "old" });
      await putEntry(store, keyOf("/new"), entryOf("new"));
      const marks = "express-portico:marks";
      const time = Number(await command("ZSCORE", marks, "clock"));
      const many = Array.from({ length: 20_050 }, (_, i) => [String(time - 50 + i / 1000), `g${i}`]).flat();
      await command("ZADD", marks, ...many);
      await store.purge({ tag: "more" });
      expect(await command("ZCARD", marks)).toBeLessThanOrEqual(20_002);
      expect(await bodyOf(store, keyOf("/old"))).toBeUndefined();
      await store.purge({ tag: "yet more" });
      expect(await bodyOf(store, keyOf("/old"))).toBeUndefined();
      await putEntry(store, keyOf("/late"), entryOf("late"));
      expect(await bodyOf(store, keyOf("/late"))).toBe("late");
    });

    it("never returns what was purged, in any order of fetches and purges", async () => {
      const { store: one } = await make();
      const { store: two } = await make();
      const targets = [
        "all",
        { host: "a.example", target: "/a" },
        { host: undefined, target: "/a" },
        { tag: "t" },
      ] as const;
      const key = keyOf("/a");
      const changes = SOAK ? 1_000 : 50;
      let truth = 0; // what a handler would answer now
      let wrong = 0;
      let hits = 0;
      let isOver = false;
      const filling = async (store: typeof one, fields: string) => {
        while (!isOver) {
          const { version } = await store.get(key, asking());
          const body = `${truth}`;
          for (let i = 0; i < truth % 3; i++) await store.stats(); // a slow handler
          await store.put(key, fields, asking()(fields), entryOf(body, { tags: ["t"] }), version, 60_000);
          await new Promise(setImmediate); // the test goes on, whatever the store does
        }
      };
      const fillers = [filling(one, ""), filling(two, ""), filling(one, "x"), filling(two, "x")];
      while (truth < changes) {
        truth++;
        await one.purge(targets[truth % 4]!);
        for (const store of [one, two, one, two]) {
          const body = await bodyOf(store, key);
          if (body !== undefined) hits++;
          if (body !== undefined && Number(body) < truth) wrong++;
        }
      }
      isOver = true;
      await Promise.all(fillers);
      expect(wrong).toBe(0);
      expect(hits).toBeGreaterThan(changes / 2);
    });
  });
});
