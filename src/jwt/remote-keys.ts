import { stderrLogger } from "../lib/log/stderr-logger.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import type { JwtAlgorithm } from "./algorithms.js";
import { fetchKeySet } from "./fetch-key-set.js";
import { withoutSecrets } from "./jwks-url.js";
import type { KeySet } from "./key-set.js";
import type { KeySource, Keys } from "./key-source.js";

/** For so long a key set is taken for true. */
const FRESH_MS = 600_000;
/** So long before that time ends, the next one is asked for: then nobody waits for it. */
const AHEAD_MS = 60_000;
/** For so much longer the old one is used while no new one can be had. */
const STALE_MS = 3_600_000;
/** After a success, a token with an unknown key's id makes nobody ask again for so long. */
const COOLDOWN_MS = 30_000;
/** After a failure, nobody asks again for so long. */
const BACK_OFF_MS = 5_000;

/** The keys cannot be had, so nothing can be said of the token: it may be good. */
export class KeySetError extends Error {
  override name = "KeySetError";
  readonly code = "ERR_KEY_SET_UNAVAILABLE";
  readonly status = 503;
  readonly headers: Readonly<Record<string, string>>;

  constructor(url: string, seconds: number, cause: unknown) {
    super(`jwt: the key set at ${withoutSecrets(url)} cannot be had: ${reasonOf(cause)}`, { cause });
    this.headers = { "Retry-After": String(seconds) };
  }
}

/** What `fetch` fails with says nothing; what that comes of does. */
function reasonOf(cause: unknown): string {
  const inner = peek(cause, "cause");
  return describeThrown(inner ?? cause).message;
}

/** The key set of an issuer: fetched when it is first needed, once for all who wait, and again when it is old. */
export class RemoteKeys implements KeySource {
  #set: KeySet | undefined;
  #fetched = momentNow();
  /** What the newest attempt has failed with, and when. */
  #failure: { readonly cause: unknown; readonly at: Moment } | undefined;
  #pending: Promise<void> | undefined;

  constructor(private readonly url: string) {}

  /** There is a set, an old one perhaps. */
  get isLoaded(): boolean {
    return this.#set !== undefined;
  }

  find(algorithm: JwtAlgorithm, kid: string | undefined): Keys | Promise<Keys> {
    const age = msSince(this.#fetched);
    if (this.#set === undefined || age > FRESH_MS + STALE_MS) return this.#findInNext(algorithm, kid);
    if (age > FRESH_MS - AHEAD_MS) {
      // Since it was time for a new one: that an earlier attempt has failed says nothing.
      const hasFailed = this.#failure !== undefined && age - msSince(this.#failure.at) > FRESH_MS - AHEAD_MS;
      const refresh = this.#refresh(0);
      // Once it has failed, whoever has a known key's token is not made to wait for the next failure.
      if (age > FRESH_MS && !hasFailed && refresh !== undefined) {
        return refresh.then(() => this.#findIn(this.#set!, algorithm, kid));
      }
    }
    return this.#findIn(this.#set, algorithm, kid);
  }

  async #findInNext(algorithm: JwtAlgorithm, kid: string | undefined): Promise<Keys> {
    this.#set = undefined;
    await this.#refresh(0);
    if (this.#set === undefined) throw this.#unavailable();
    return this.#findIn(this.#set, algorithm, kid);
  }

  #findIn(set: KeySet, algorithm: JwtAlgorithm, kid: string | undefined): Keys | Promise<Keys> {
    return set.find(algorithm, kid) ?? this.#findUnknown(algorithm, kid);
  }

  /** The key may be newer than the set. */
  async #findUnknown(algorithm: JwtAlgorithm, kid: string | undefined): Promise<Keys> {
    await this.#refresh(COOLDOWN_MS);
    const found = this.#set?.find(algorithm, kid);
    if (found !== undefined) return found;
    if (this.#failure !== undefined) throw this.#unavailable();
    return [];
  }

  /** Asks for a new set, unless it is too early; fulfilled when that has ended, well or not. */
  #refresh(cooldownMs: number): Promise<void> | undefined {
    if (this.#pending !== undefined) return this.#pending;
    if (this.#failure !== undefined && msSince(this.#failure.at) < BACK_OFF_MS) return undefined;
    if (this.#failure === undefined && this.#set !== undefined && msSince(this.#fetched) < cooldownMs)
      return undefined;
    this.#pending = fetchKeySet(this.url).then(
      (set) => this.#succeeded(set),
      (cause: unknown) => this.#failed(cause),
    );
    return this.#pending;
  }

  #succeeded(set: KeySet): void {
    this.#pending = undefined;
    this.#failure = undefined;
    this.#set = set;
    this.#fetched = momentNow();
  }

  #failed(cause: unknown): void {
    this.#pending = undefined;
    // Those who get a 503 are in the log by themselves; that old keys are in use is in no other place.
    if (this.#failure === undefined && this.#set !== undefined) {
      stderrLogger.warn(
        { url: withoutSecrets(this.url), reason: reasonOf(cause) },
        "jwt: the key set cannot be had; the old one is used, for an hour at most",
      );
    }
    this.#failure = { cause, at: momentNow() };
  }

  #unavailable(): KeySetError {
    const leftMs = this.#failure === undefined ? 0 : BACK_OFF_MS - msSince(this.#failure.at);
    return new KeySetError(this.url, Math.max(1, Math.ceil(leftMs / 1_000)), this.#failure?.cause);
  }
}

interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

function momentNow(): Moment {
  return { monotonicMs: performance.now(), wallMs: Date.now() };
}

/** The one clock may be set, the other one stands still while the machine sleeps. */
function msSince({ monotonicMs, wallMs }: Moment): number {
  return Math.max(performance.now() - monotonicMs, Date.now() - wallMs);
}

const MAX_SETS = 1_000;
const sets = new Map<string, RemoteKeys>();

/** One for each URL: whoever makes a scheme for each route, or even for each request, shares what was fetched. */
export function remoteKeys(url: string): RemoteKeys {
  const known = sets.get(url);
  if (known !== undefined) return known;
  const made = new RemoteKeys(url);
  sets.set(url, made);
  if (sets.size > MAX_SETS) sets.delete(sets.keys().next().value!);
  return made;
}
