import fc from "fast-check";
import type { CacheStore, PurgeTarget, ResourceKey } from "../../../src/cache/stores/cache-store.js";
import { memoryStore } from "../../../src/cache/stores/memory.js";
import { redisStore } from "../../../src/cache/stores/redis.js";
import { memoryLogger } from "../../support/logger.js";
import { describeWithRedis, type RedisServer, startRedis } from "../../support/redis.js";
import { casesOf } from "../../support/soak.js";
import { asking, entryOf, PACKAGES, type TestClient } from "./support.js";

type Request = Readonly<Record<string, string>>;

type Step =
  | { readonly do: "look"; readonly key: ResourceKey; readonly request: Request }
  /** Puts with the version of the n-th last lookup. */
  | { readonly do: "put"; readonly look: number; readonly fields: string; readonly tags: readonly string[] }
  | { readonly do: "purge"; readonly target: PurgeTarget };

/** A list of all puts and purges; a lookup searches it from the end. */
class Model {
  readonly #puts: {
    key: ResourceKey;
    fields: string;
    variant: string;
    tags: readonly string[];
    version: number;
    at: number;
    body: string;
  }[] = [];
  readonly #purges: { target: PurgeTarget; at: number }[] = [];
  #now = 0;

  look(key: ResourceKey, request: Request) {
    const alive = this.#puts.filter((put) => isSame(put.key, key) && !this.#purgedSince(put.version, put));
    const mine = alive.filter(
      ({ key: { partition }, fields, variant }) =>
        partition === key.partition && asking(request)(fields) === variant,
    );
    const [newest] = mine.sort((a, b) => b.at - a.at);
    const heard = this.#puts.some(
      (put) => isSame(put.key, key) && !this.#purgedSince(put.version, { key, tags: [] }),
    );
    return { body: newest?.body, isKnown: alive.length > 0, mayBeKnown: heard, version: this.#now };
  }

  put(
    key: ResourceKey,
    request: Request,
    fields: string,
    tags: readonly string[],
    version: number,
    body: string,
  ) {
    if (this.#purgedSince(version, { key, tags })) return;
    const variant = asking(request)(fields);
    // The entry that it replaces does not come back, even when this one is purged by its own tag.
    const at = this.#puts.findIndex(
      (put) =>
        isSame(put.key, key) &&
        put.key.partition === key.partition &&
        put.fields === fields &&
        put.variant === variant,
    );
    if (at !== -1) this.#puts.splice(at, 1);
    this.#puts.push({ key, fields, variant, tags, version, at: ++this.#now, body });
  }

  purge(target: PurgeTarget): void {
    this.#purges.push({ target, at: ++this.#now });
  }

  #purgedSince(version: number, { key, tags }: { key: ResourceKey; tags: readonly string[] }): boolean {
    return this.#purges.some(({ target, at }) => {
      if (at <= version) return false;
      if (target === "all") return true;
      if ("tag" in target) return tags.includes(target.tag);
      return target.target === key.target && (target.host ?? key.host) === key.host;
    });
  }
}

function isSame(a: ResourceKey, b: ResourceKey): boolean {
  return a.host === b.host && a.target === b.target;
}

const host = fc.constantFrom("a", "b", "a b", "a%20b");
const target = fc.constantFrom("/", "b /", "/\n");
const tag = fc.constantFrom("t", "u", "", "all", "clock");
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("look" as const),
      key: fc.record({ host, target, partition: fc.constantFrom("", "", "x") }),
      request: fc.record({ a: fc.constantFrom("1", "2") }, { requiredKeys: [] }) as fc.Arbitrary<Request>,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      look: fc.nat(4),
      fields: fc.constantFrom("", "", "a", "a,b", "b"),
      tags: fc.uniqueArray(tag, { maxLength: 2 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("purge" as const),
      target: fc.oneof(
        fc.constant("all" as const),
        fc.record({ tag }),
        fc.record({ host: fc.option(host, { nil: undefined }), target }),
      ),
    }),
  },
);

async function agree(store: CacheStore, steps: readonly Step[]): Promise<void> {
  const model = new Model();
  const looks: { key: ResourceKey; request: Request; version: number; modelled: number }[] = [];
  let count = 0;
  for (const one of steps) {
    if (one.do === "look") {
      const { key, request } = one;
      const { entry, known, version } = await store.get(key, asking(request));
      const wanted = model.look(key, request);
      looks.unshift({ key, request, version, modelled: wanted.version });
      expect(entry?.body.toString()).toBe(wanted.body);
      if (wanted.isKnown) expect(known).toBe(true);
      if (!wanted.mayBeKnown) expect(known).toBe(false);
    } else if (one.do === "put") {
      const look = looks[one.look];
      if (look === undefined) continue;
      const { key, request, version, modelled } = look;
      const { fields, tags } = one;
      const body = `${++count}`;
      await store.put(key, fields, asking(request)(fields), entryOf(body, { tags }), version, 60_000);
      model.put(key, request, fields, tags, modelled, body);
    } else {
      await store.purge(one.target);
      model.purge(one.target);
    }
  }
}

const steps = fc.array(step, { minLength: 1, maxLength: 60, size: "max" });

it("the memory store behaves like a plain list of all puts and purges", async () => {
  await fc.assert(
    fc.asyncProperty(steps, (list) => agree(memoryStore(), list)),
    { numRuns: casesOf(500) },
  );
});

describeWithRedis("the Redis store does as a list of all puts and purges", () => {
  let server: RedisServer;
  let own: TestClient | undefined;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterEach(() => own?.end());
  afterAll(() => server.close());

  it.each(Object.entries(PACKAGES))("over %s", async (name, connect) => {
    own = connect(server.path);
    const { client, ready } = own;
    await ready();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(steps, (list) => {
        const options = {
          client,
          prefix: `${name}:${++runs}:`,
          timeoutMs: 5_000,
          logger: memoryLogger(),
        };
        return agree(redisStore(options), list);
      }),
      { numRuns: casesOf(60) },
    );
  });
});
