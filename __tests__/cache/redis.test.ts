import express from "express";
import { type Cache, cache, redisStore } from "../../src/cache/index.js";
import { memoryLogger } from "../support/logger.js";
import { describeWithRedis, type RedisServer, startRedis } from "../support/redis.js";
import { closeServers, listen, until } from "../support/server.js";
import { PACKAGES, type TestClient } from "./stores/support.js";
import { type Answer, ask } from "./support.js";

describeWithRedis("a cache on Redis", () => {
  let redis: RedisServer;
  const clients: TestClient[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    await closeServers();
    for (const { end } of clients.splice(0)) end();
  });
  afterAll(() => redis.close());

  interface Instance {
    readonly url: string;
    readonly cached: Cache;
    readonly runs: () => number;
    readonly levels: () => string[];
  }

  /** As one of several processes of the same app. */
  async function instance(
    connect: (typeof PACKAGES)[keyof typeof PACKAGES],
    prefix: string,
  ): Promise<Instance> {
    const client = connect(redis.path);
    clients.push(client);
    await client.ready();
    const logger = memoryLogger();
    const cached = cache({ store: redisStore({ client: client.client, prefix, logger }) });
    let runs = 0;
    const app = express();
    app.use(cached);
    app.get("/:page", (req, res) => {
      runs++;
      res.set({ "Cache-Control": "max-age=60", Vary: "Accept-Language", "Cache-Tag": req.params.page });
      res.type("bin").send(Buffer.from([0, 255, 13, 10, req.params.page.length]));
    });
    app.post("/:page", (_req, res) => void res.sendStatus(204));
    const { url } = await listen(app);
    return { url, cached, runs: () => runs, levels: () => logger.entries.map(({ level }) => level) };
  }

  describe.each(Object.entries(PACKAGES))("over %s", (name, connect) => {
    const pair = async (test: string) => {
      const both = await Promise.all([1, 2].map(() => instance(connect, `${name}-${test}:`)));
      return both as [Instance, Instance];
    };

    test("a process serves what another has stored, byte for byte, and not what another has purged", async () => {
      const [one, other] = await pair("shared");
      let first: Answer;
      do first = await ask(`${one.url}/page`, { headers: { host: "www.example" } });
      while (!/stored/.test(first.did));
      const { runs } = one;
      const before = runs();
      const get = ({ url }: Instance) => ask(`${url}/page`, { headers: { host: "www.example" } });
      let second = await get(other);
      while (!second.did.startsWith("hit")) second = await get(other);
      expect(second.body.equals(Buffer.from([0, 255, 13, 10, 4]))).toBe(true);
      expect(second.headers["content-type"]).toBe(first.headers["content-type"]);
      for (const purge of [
        () => other.cached.purge("/page"),
        () => other.cached.purgeTag("page"),
        () => other.cached.clear(),
        () => ask(`${other.url}/page`, { method: "POST", headers: { host: "www.example" } }),
      ]) {
        await purge();
        expect((await get(one)).did).toMatch(/^fwd=/);
        expect((await get(other)).did).toMatch(/^hit/);
      }
      expect(one.runs()).toBe(before + 4);
    });

    test("when Redis is killed and started again under load, no request fails, and the cache recovers by itself", async () => {
      const [one, other] = await pair("outage");
      let done = false;
      const answers: Answer[] = [];
      const load = async ({ url }: Instance, worker: number) => {
        for (let i = 0; !done; i++) answers.push(await ask(`${url}/page-${(worker * 7 + i) % 20}`));
      };
      const workers = [one, other].flatMap((of) => [1, 2, 3, 4].map((worker) => load(of, worker)));
      const isHit = ({ did }: Answer) => did.startsWith("hit");
      await until(() => answers.some(isHit));
      await redis.kill();
      const atKill = answers.length;
      await until(
        () =>
          answers.length > atKill + 200 && one.levels().includes("warn") && other.levels().includes("warn"),
      );
      await redis.start();
      const { now } = performance;
      let skippedMs = 0; // skips the pause of the circuit
      const clock = jest
        .spyOn(performance, "now")
        .mockImplementation(() => now.call(performance) + skippedMs);
      await until(() => {
        skippedMs += 20;
        return one.levels().includes("info") && other.levels().includes("info");
      });
      clock.mockRestore();
      const atRecovery = answers.length;
      await until(() => answers.slice(atRecovery).some(isHit));
      done = true;
      await Promise.all(workers);
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(new Set(answers.map(({ body }) => body.toString("hex").slice(0, 8)))).toEqual(
        new Set(["00ff0d0a"]),
      );
      for (const { levels } of [one, other]) expect(levels().join()).toMatch(/^warn,info(,warn,info)*$/);
    }, 30_000);
  });
});
