import { EventEmitter } from "node:events";
import { Cluster, Redis } from "ioredis";
import { createClient, createClientPool, createCluster, createSentinel } from "redis";
import { type MemoryStoreOptions, memoryStore } from "../../../src/cache/stores/memory.js";
import { redisStore } from "../../../src/cache/stores/redis.js";
import { ConfigError } from "../../../src/lib/config/config-error.js";
import { memoryLogger } from "../../support/logger.js";
import { casesOf, SOAK } from "../../support/soak.js";
import { asking, bodyOf, entryOf, keyOf, putEntry } from "./support.js";

describe("the memory store", () => {
  const key = keyOf("/a");

  afterEach(() => {
    jest.restoreAllMocks();
  });

  it("the memory store returns what was stored, without a promise", () => {
    const store = memoryStore();
    const entry = entryOf(Buffer.from(Array.from({ length: 256 }, (_, i) => i)), { tags: ["t"] });
    expect(store.get(key, asking())).toEqual({ entry: undefined, known: false, version: 0 });
    expect(store.put(key, "", "", entry, 0, 1_000)).toBeUndefined();
    expect(store.get(key, asking())).toEqual({ entry, known: true, version: 0 });
  });

  it("keeps only the body itself in memory, not the buffer that it is a slice of", async () => {
    const store = memoryStore();
    const slab = Buffer.alloc(100_000, "x");
    await putEntry(store, key, entryOf(""));
    await putEntry(store, keyOf("/b"), { ...entryOf(""), body: slab.subarray(10, 20) });
    slab.fill("y");
    const lookup = await store.get(keyOf("/b"), asking());
    expect(lookup.entry?.body.toString()).toBe("xxxxxxxxxx");
    expect(lookup.entry?.body.buffer.byteLength).toBe(10);
  });

  it("stores no body over maxEntryBytes, and no entry without a time to keep it", async () => {
    const store = memoryStore({ maxEntryBytes: 10 });
    await putEntry(store, keyOf("/most"), entryOf("x".repeat(10)));
    await putEntry(store, keyOf("/more"), entryOf("x".repeat(11)));
    for (const keepMs of [0, -1, Number.NaN])
      await putEntry(store, keyOf("/brief"), entryOf("x"), { keepMs });
    expect(await bodyOf(store, keyOf("/most"))).toBeDefined();
    expect(await bodyOf(store, keyOf("/more"))).toBeUndefined();
    expect(await bodyOf(store, keyOf("/brief"))).toBeUndefined();
  });

  it("does not store an entry that is over maxBytes with its headers, and drops the one it should replace", async () => {
    const store = memoryStore({ maxBytes: 4_000 });
    const large = entryOf("", { headers: [["X", "x".repeat(5_000)]] });
    for (const fields of ["", "a"]) {
      await putEntry(store, key, entryOf("old"), { fields });
      expect(await bodyOf(store, key)).toBe("old");
      await putEntry(store, key, large, { fields });
      expect(await bodyOf(store, key)).toBeUndefined();
      expect(store.stats()).toEqual({ entries: 0, bytes: 0 });
    }
  });

  describe("time", () => {
    it.each([
      ["alone", ""],
      ["as a variant", "a"],
    ])("an entry %s expires without a timer", async (_how, fields) => {
      const timer = jest.spyOn(globalThis, "setTimeout");
      const store = memoryStore();
      const now = jest.spyOn(Date, "now").mockReturnValue(1_000);
      await putEntry(store, key, entryOf("old"), { fields, keepMs: 50 });
      now.mockReturnValue(1_049);
      expect(await bodyOf(store, key)).toBe("old");
      now.mockReturnValue(1_050);
      expect(await store.get(key, asking())).toMatchObject({ entry: undefined, known: false });
      expect(store.stats()).toEqual({ entries: 0, bytes: 0 });
      expect(timer).not.toHaveBeenCalled();
    });

    it("an expired entry does not become a variant when another variant is stored", async () => {
      const store = memoryStore();
      const now = jest.spyOn(Date, "now").mockReturnValue(1_000);
      await putEntry(store, key, entryOf("old"), { keepMs: 50 });
      now.mockReturnValue(1_050);
      await putEntry(store, key, entryOf("new"), { fields: "a", request: { a: "1" } });
      expect((await store.stats()).entries).toBe(1);
      expect(await bodyOf(store, key)).toBeUndefined();
    });
  });

  describe("variants", () => {
    it("variants are stored side by side, and a request gets the newest that it may get", async () => {
      const store = memoryStore();
      await putEntry(store, key, entryOf("any"));
      await putEntry(store, key, entryOf("de"), { fields: "l", request: { l: "de" } });
      await putEntry(store, key, entryOf("fr"), { fields: "l", request: { l: "fr" } });
      expect(await bodyOf(store, key, { l: "de" })).toBe("de");
      expect(await bodyOf(store, key, { l: "fr" })).toBe("fr");
      expect(await bodyOf(store, key, { l: "en" })).toBe("any");
      await putEntry(store, key, entryOf("later"));
      expect(await bodyOf(store, key, { l: "de" })).toBe("later");
    });

    it("a miss says whether there are other variants", async () => {
      const store = memoryStore();
      await putEntry(store, key, entryOf("de"), { fields: "l", request: { l: "de" } });
      expect(await store.get(key, asking({ l: "fr" }))).toMatchObject({ entry: undefined, known: true });
      expect(await store.get(keyOf("/b"), asking())).toMatchObject({ entry: undefined, known: false });
      await store.purge({ host: key.host, target: key.target });
      expect(await store.get(key, asking({ l: "fr" }))).toMatchObject({ entry: undefined, known: false });
    });

    it("partitions are separate, and are purged together", async () => {
      const store = memoryStore();
      await putEntry(store, keyOf("/a", "a.example", ""), entryOf("plain"));
      expect(await bodyOf(store, keyOf("/a", "a.example", "https"))).toBeUndefined();
      await putEntry(store, keyOf("/a", "a.example", "https"), entryOf("secure"));
      expect(await bodyOf(store, keyOf("/a", "a.example", ""))).toBe("plain");
      expect(await bodyOf(store, keyOf("/a", "a.example", "https"))).toBe("secure");
      await store.purge({ host: key.host, target: "/a" });
      expect(store.stats()).toEqual({ entries: 0, bytes: 0 });
    });

    it("a resource has at most four lists of fields: the least recently used is dropped with its variants", async () => {
      const store = memoryStore();
      for (const fields of ["a", "b", "c", "d", "a", "e"]) {
        await putEntry(store, key, entryOf(fields), { fields, request: { [fields]: "1" } });
      }
      for (const fields of ["a", "c", "d", "e"])
        expect(await bodyOf(store, key, { [fields]: "1" })).toBe(fields);
      expect(await bodyOf(store, key, { b: "1" })).toBeUndefined();
      expect((await store.stats()).entries).toBe(4);
    });

    it("each variant counts as an entry, and leaves nothing behind", async () => {
      const store = memoryStore();
      for (let i = 0; i < 100; i++) {
        await putEntry(store, key, entryOf(`${i}`, { tags: ["t"] }), { fields: "l", request: { l: `${i}` } });
      }
      expect((await store.stats()).entries).toBe(100);
      await store.purge({ tag: "t" });
      expect(store.stats()).toEqual({ entries: 0, bytes: 0 });
    });
  });

  describe("purges", () => {
    it.each([
      ["one resource", { host: "a.example", target: "/a" }, ["/b a.example", "/a b.example"]],
      ["a target on all hosts", { host: undefined, target: "/a" }, ["/b a.example"]],
      ["a tag", { tag: "/b" }, ["/a a.example", "/a b.example"]],
      ["all", "all", []],
    ] as const)("forget %s, at once and in the numbers", async (_what, target, left) => {
      const store = memoryStore();
      const keys = [keyOf("/a", "a.example"), keyOf("/b", "a.example"), keyOf("/a", "b.example")];
      for (const one of keys) {
        await putEntry(store, one, entryOf("x", { tags: [one.target] }));
        await putEntry(store, one, entryOf("y", { tags: [one.target] }), { fields: "f" });
      }
      await store.purge(target);
      const found: string[] = [];
      for (const one of keys) if (await bodyOf(store, one)) found.push(`${one.target} ${one.host}`);
      expect(found).toEqual(left);
      expect((await store.stats()).entries).toBe(left.length * 2);
    });

    it.each([
      ["the resource", { host: "a.example", target: "/a" }, false],
      ["its target on all hosts", { host: undefined, target: "/a" }, false],
      ["its tag", { tag: "t" }, false],
      ["all", "all", false],
      ["another resource", { host: "a.example", target: "/b" }, true],
      ["the resource on another host", { host: "b.example", target: "/a" }, true],
      ["another tag", { tag: "u" }, true],
    ] as const)("of %s keep out what was looked up before", async (_what, target, isStored) => {
      const store = memoryStore();
      const { version } = await store.get(key, asking());
      await store.purge(target);
      await store.put(key, "", "", entryOf("old", { tags: ["s", "t"] }), version, 1_000);
      expect(await bodyOf(store, key)).toBe(isStored ? "old" : undefined);
      await putEntry(store, key, entryOf("new", { tags: ["s", "t"] }));
      expect(await bodyOf(store, key)).toBe("new");
    });

    it("a purge during a fetch counts, however many others there are", async () => {
      const store = memoryStore();
      const { version } = await store.get(key, asking());
      await store.purge({ tag: "t" });
      for (let i = 0; i < casesOf(100_000); i++) await store.purge({ tag: `other ${i}` });
      await store.put(key, "", "", entryOf("old", { tags: ["t"] }), version, 1_000);
      expect(await bodyOf(store, key)).toBeUndefined();
    });
  });

  describe("bounds", () => {
    const small = (i: number) =>
      entryOf(`${i}`.padEnd(200, "x"), {
        headers: [
          ["Content-Type", "application/json; charset=utf-8"],
          ["ETag", `W/"${i}"`],
        ],
        tags: i % 3 === 0 ? [`t${i % 100}`] : [],
      });

    it("the memory store drops the least recently used entry first", async () => {
      const store = memoryStore({ maxBytes: 20_000 });
      await putEntry(store, keyOf("/used"), small(1));
      await putEntry(store, keyOf("/unused"), small(2));
      for (let i = 0; i < 100; i++) {
        await putEntry(store, keyOf(`/${i}`), small(i));
        expect(await bodyOf(store, keyOf("/used"))).toBeDefined();
      }
      expect(await bodyOf(store, keyOf("/unused"))).toBeUndefined();
    });

    it.each<[string, string, (i: number) => object]>([
      ["of queries", "", () => ({})],
      ["of variants", "l", (i) => ({ l: `${i}` })],
    ])("stays within its bytes in a flood %s, and counts right", async (_what, fields, request) => {
      const maxBytes = 200_000;
      const store = memoryStore({ maxBytes });
      const flood = SOAK ? 5_000 : 1_500;
      let most = 0;
      for (let i = 0; i < flood; i++) {
        const target = fields === "" ? `/a?q=${i}` : `/a?q=${i % 40}`;
        await putEntry(store, keyOf(target), small(i), {
          fields,
          request: request(i) as Record<string, string>,
        });
        most = Math.max(most, (await store.stats()).bytes);
      }
      expect(most).toBeLessThanOrEqual(maxBytes);
      const { entries } = await store.stats();
      expect(entries).toBeGreaterThan(50);
      let found = 0;
      for (let i = 0; i < flood; i++) {
        const target = fields === "" ? `/a?q=${i}` : `/a?q=${i % 40}`;
        if (await bodyOf(store, keyOf(target), request(i) as Record<string, string>)) found++;
      }
      expect(found).toBe(entries);
      await store.purge("all");
      expect(store.stats()).toEqual({ entries: 0, bytes: 0 });
    });

    it("a resource is dropped with its variants", async () => {
      const options: MemoryStoreOptions = { maxBytes: 8_000 };
      const store = memoryStore(options);
      for (let i = 0; i < 50; i++) {
        await putEntry(store, keyOf(`/${i}`), small(i), { fields: "a" });
        await putEntry(store, keyOf(`/${i}`), small(i), { fields: "b" });
      }
      expect((await store.stats()).bytes).toBeLessThanOrEqual(8_000);
      for (let i = 0; i < 50; i++) await store.purge({ host: "a.example", target: `/${i}` });
      expect(store.stats()).toEqual({ entries: 0, bytes: 0 });
    });
  });
});

describe("options of stores", () => {
  function problemsOf(make: () => unknown): string[] {
    try {
      make();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as ConfigError).problems.map(({ option, reason }) => `${option}: ${reason}`);
    }
    return [];
  }

  describe("memoryStore()", () => {
    it.each<[string, unknown, RegExp[]]>([
      [
        "a name that is nearly right",
        { maxByte: 1 },
        [/^maxByte: unknown option\. Did you mean "maxBytes"\?/],
      ],
      [
        "less than an answer takes",
        { maxBytes: 10 },
        [/^maxBytes: must be a whole number of bytes from 1024/],
      ],
      ["a fraction", { maxBytes: 1e6 + 0.5 }, [/^maxBytes/]],
      ["a string", { maxBytes: "64mb" }, [/^maxBytes/]],
      ["no number", { maxEntryBytes: Number.NaN }, [/^maxEntryBytes/]],
      ["nothing", { maxEntryBytes: 0 }, [/^maxEntryBytes: must be a whole number of bytes from 1 /]],
      [
        "an entry larger than all",
        { maxBytes: 2048, maxEntryBytes: 2049 },
        [/^maxEntryBytes: must be at most/],
      ],
      ["an entry larger than the default", { maxEntryBytes: 2 ** 27 }, [/^maxEntryBytes: must be at most/]],
      [
        "everything at once",
        { maxBytes: -1, maxEntryBytes: "1", size: 1 },
        [/^size/, /^maxBytes/, /^maxEntry/],
      ],
      ["no options", 5, [/^options: must be an object/]],
    ])("refuses %s", (_what, options, problems) => {
      const found = problemsOf(() => memoryStore(options as never));
      expect(found).toEqual(problems.map((problem) => expect.stringMatching(problem)));
    });

    it.each([
      [undefined, 1024 * 1024],
      [{}, 1024 * 1024],
      [{ maxBytes: undefined, maxEntryBytes: undefined }, 1024 * 1024],
      [{ maxBytes: 4096 }, 4096],
      [{ maxEntryBytes: 5 }, 5],
    ])("takes %j, and stores bodies of up to %d bytes", (options, most) => {
      expect(memoryStore(options).maxEntryBytes).toBe(most);
    });
  });

  describe("redisStore()", () => {
    const ioredis = new Redis({ lazyConnect: true });
    const cluster = new Cluster([], { lazyConnect: true });
    const logger = memoryLogger();

    it.each<[string, () => unknown, RegExp]>([
      ["nothing", () => undefined, /there is none/],
      ["null", () => null, /there is none/],
      ["an URL", () => "redis://localhost", /received a string/],
      [
        "an empty object",
        () => ({}),
        /must be a client of node-redis \(the package redis, 5 or newer\) or of ioredis$/,
      ],
      ["an emitter", () => new EventEmitter(), /ioredis$/],
      ["the class itself", () => Redis, /ioredis$/],
      ["a promise", () => Promise.resolve(createClient()), /await it first/],
      ["a cluster of node-redis", () => createCluster({ rootNodes: [] }), /cluster/],
      ["a cluster of ioredis", () => cluster, /cluster/],
      ["a sentinel of node-redis", () => createSentinel({ name: "x", sentinelRootNodes: [] }), /sentinel/],
      ["a pipeline of ioredis", () => ioredis.pipeline(), /ioredis/],
      ["a multi of node-redis", () => createClient().multi(), /ioredis/],
      [
        "node-redis 4",
        () => Object.assign(new EventEmitter(), { sendCommand() {}, isOpen: true }),
        /older version/,
      ],
      ["node-redis 3", () => Object.assign(new EventEmitter(), { send_command() {} }), /older version/],
      [
        "one whose properties throw",
        () =>
          new Proxy(
            {},
            {
              get() {
                throw new Error("no");
              },
            },
          ),
        /ioredis$/,
      ],
    ])("refuses %s for a client", (_what, client, problem) => {
      expect(problemsOf(() => redisStore({ client: client() as never, logger }))).toEqual([
        expect.stringMatching(problem),
      ]);
    });

    it.each<[string, object, RegExp[]]>([
      ["a name that is nearly right", { prefx: "a" }, [/^prefx: unknown option\. Did you mean "prefix"/]],
      ["an empty prefix", { prefix: "" }, [/^prefix: must have from 1 to 200/]],
      ["a prefix that is no string", { prefix: 5 }, [/^prefix: must be a string/]],
      ["a prefix without end", { prefix: "x".repeat(201) }, [/^prefix/]],
      ["no time", { timeoutMs: 0 }, [/^timeoutMs: must be a whole number of milliseconds from 1 to 60000/]],
      ["a logger that is none", { logger: {} }, [/^logger: must have the methods/]],
      ["all at once", { prefix: "", timeoutMs: "1", logger: 1 }, [/^prefix/, /^timeoutMs/, /^logger/]],
    ])("refuses %s", (_what, options, problems) => {
      const found = problemsOf(() => redisStore({ client: ioredis, logger, ...options } as never));
      expect(found).toEqual(problems.map((problem) => expect.stringMatching(problem)));
    });

    it.each([
      ["options", 5],
      ["options", null],
      ["client", undefined],
      ["client", {}],
    ])("needs %s: %j has none", (option, options) => {
      expect(problemsOf(() => redisStore(options as never))).toEqual([
        expect.stringMatching(`^${option}: must be`),
      ]);
    });

    it("never shows the client, which holds a password", () => {
      const client = { options: { password: "s3cret" } };
      expect(() => redisStore({ client: client as never })).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining("s3cret") }),
      );
    });

    it.each<[string, () => object]>([
      ["node-redis, not connected", () => createClient()],
      ["a pool of node-redis", () => createClientPool()],
      ["ioredis, not connected", () => new Redis({ lazyConnect: true })],
    ])("takes %s", (_what, client) => {
      expect(problemsOf(() => redisStore({ client: client() as never, logger }))).toEqual([]);
    });
  });
});
