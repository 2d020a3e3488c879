import { EventEmitter } from "node:events";
import { type NodeRedisClient, redisStore } from "../../../src/cache/stores/redis.js";
import { memoryLogger } from "../../support/logger.js";
import { asking, entryOf, keyOf } from "./support.js";

// In a file of its own: the stores of other tests go on trying to send their purges, and their timers would be counted here.

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
