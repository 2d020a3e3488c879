import { EventEmitter } from "node:events";
import { Cluster, Redis } from "ioredis";
import { createClient, createClientPool, createCluster, createSentinel } from "redis";
import { memoryStore } from "../../../src/cache/stores/memory.js";
import { redisStore } from "../../../src/cache/stores/redis.js";
import { ConfigError } from "../../../src/lib/config/config-error.js";
import { memoryLogger } from "../../support/logger.js";

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
    ["a name that is nearly right", { maxByte: 1 }, [/^maxByte: unknown option\. Did you mean "maxBytes"\?/]],
    ["less than an answer takes", { maxBytes: 10 }, [/^maxBytes: must be a whole number of bytes from 1024/]],
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
