import type { PurgeTarget } from "./cache-store.js";
import { within } from "./guard.js";
import { Script, type Send } from "./redis-client.js";
import type { RedisKeys } from "./redis-format.js";
import { PURGE } from "./redis-scripts.js";

type PurgeRecord = ReturnType<RedisKeys["purge"]>;

/** With more pending purges, everything is purged instead. */
const MAX_PENDING = 1_000;
/** How many purges of tags and of targets on all hosts Redis remembers, about 100 bytes each. */
const MAX_MARKS = 20_000;

const purgeScript = new Script(PURGE);

/** The purges that Redis has not confirmed. They wait while it is down, and are sent before any lookup. */
export class Purges {
  readonly #pending = new Map<string, PurgeRecord>();
  #sending: Promise<number> | undefined;

  constructor(
    private readonly keys: RedisKeys,
    private readonly timeoutMs: number,
  ) {}

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  add(target: PurgeTarget): void {
    const written = this.keys.purge(target);
    const name = "member" in written ? `m:${written.member}` : `l:${written.lists}`;
    // A pending purge of everything includes this one, but not while it is being sent: Redis may have done it already.
    if (this.#sending === undefined && this.#pending.has("m:all")) return;
    if (target === "all" || this.#pending.size >= MAX_PENDING) {
      this.#pending.clear();
      this.#pending.set("m:all", { member: "all" });
    } else {
      this.#pending.set(name, written); // a new object: an equal purge that is being sent does not confirm this one
    }
  }

  /** Sends the purges that are pending now; resolves with Redis's time when they are done. */
  async send(send: Send): Promise<number> {
    const wanted = [...this.#pending];
    let time = 0;
    while (wanted.some(([name, written]) => this.#pending.get(name) === written)) {
      this.#sending ??= this.#sendAll(send).finally(() => {
        this.#sending = undefined;
      });
      time = await this.#sending;
    }
    return time;
  }

  async #sendAll(send: Send): Promise<number> {
    const batch = [...this.#pending];
    const lists = batch.flatMap(([, written]) => ("lists" in written ? [written.lists] : []));
    const members = batch.flatMap(([, written]) => ("member" in written ? [written.member] : []));
    const keys = [this.keys.marks, ...lists];
    // After a time-out it is sent again, as it may not have been done.
    const reply = await within(this.timeoutMs, () =>
      purgeScript.run(send, keys, [...members, String(MAX_MARKS)]),
    );
    for (const [name, written] of batch) {
      if (this.#pending.get(name) === written) this.#pending.delete(name);
    }
    return Number(String(reply[0]));
  }
}
