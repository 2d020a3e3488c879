import { stderrLogger } from "../lib/log/stderr-logger.js";
import { runOutside } from "../lib/request/scope.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import type { JwtAlgorithm } from "./algorithms.js";
import { KeySet, type KeySource, type Keys } from "./key-set.js";

/** How long a key set is used before it must be fetched again. */
const FRESH_MS = 600_000;
/** How long before that the next one is fetched in the background, so that no request waits for it. */
const AHEAD_MS = 60_000;
/** How much longer the old set is used while fetching fails. */
const STALE_MS = 3_600_000;
/** How long after a success an unknown `kid` causes no new fetch. */
const COOLDOWN_MS = 30_000;
/** How long after a failure there is no new fetch. */
const BACK_OFF_MS = 5_000;

/** The keys cannot be fetched, so the token, which may be valid, cannot be checked. */
export class KeySetError extends Error {
  override name = "KeySetError";
  readonly code = "ERR_KEY_SET_UNAVAILABLE";
  readonly status = 503;
  readonly headers: Readonly<Record<string, string>>;

  constructor(url: string, seconds: number, cause: unknown) {
    super(`jwt: the key set at ${withoutSecrets(url)} cannot be fetched: ${reasonOf(cause)}`, { cause });
    this.headers = { "Retry-After": String(seconds) };
  }
}

/** The message of the error's cause, if it has one: `fetch` itself only says "fetch failed". */
function reasonOf(cause: unknown): string {
  const inner = peek(cause, "cause");
  return describeThrown(inner ?? cause).message;
}

/** The key set of an issuer: fetched at first use, once for all waiting requests, and again when it is old. */
export class RemoteKeys implements KeySource {
  #set: KeySet | undefined;
  #fetched = momentNow();
  /** The error of the last fetch, if it failed. */
  #failure: { readonly cause: unknown; readonly at: Moment } | undefined;
  #pending: Promise<void> | undefined;

  constructor(private readonly url: string) {}

  /** Whether there is a set, possibly an old one. */
  get isLoaded(): boolean {
    return this.#set !== undefined;
  }

  find(algorithm: JwtAlgorithm, kid: string | undefined): Keys | Promise<Keys> {
    const age = msSince(this.#fetched);
    if (this.#set === undefined || age > FRESH_MS + STALE_MS) return this.#findInNext(algorithm, kid);
    if (age > FRESH_MS - AHEAD_MS) {
      // Only failures since this set became due for renewal count.
      const hasFailed = this.#failure !== undefined && age - msSince(this.#failure.at) > FRESH_MS - AHEAD_MS;
      const refresh = this.#refresh(0);
      // After a failure, requests use the old set at once and do not wait for the next attempt.
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

  /** Fetches the set again, because the key may be newer than the set. */
  async #findUnknown(algorithm: JwtAlgorithm, kid: string | undefined): Promise<Keys> {
    await this.#refresh(COOLDOWN_MS);
    const found = this.#set?.find(algorithm, kid);
    if (found !== undefined) return found;
    if (this.#failure !== undefined) throw this.#unavailable();
    return [];
  }

  /** Fetches a new set, unless it is too early; the promise is fulfilled on success and on failure. */
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
    // Log that old keys are in use; without old keys the requests fail with 503 and are logged anyway.
    if (this.#failure === undefined && this.#set !== undefined) {
      stderrLogger.warn(
        { url: withoutSecrets(this.url), reason: reasonOf(cause) },
        "jwt: the key set cannot be fetched; the old one is used until it is 70 minutes old",
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

/** Uses both clocks: the wall clock may be set back, and the monotonic clock stops while the machine sleeps. */
function msSince({ monotonicMs, wallMs }: Moment): number {
  return Math.max(performance.now() - monotonicMs, Date.now() - wallMs);
}

const MAX_SETS = 1_000;
const sets = new Map<string, RemoteKeys>();

/** One instance per URL, shared by all schemes, even if the app makes a scheme for each request. */
export function remoteKeys(url: string): RemoteKeys {
  const known = sets.get(url);
  if (known !== undefined) return known;
  const made = new RemoteKeys(url);
  sets.set(url, made);
  if (sets.size > MAX_SETS) sets.delete(sets.keys().next().value!);
  return made;
}

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 1_048_576;

/**
 * Fetches a key set, within limits of time and size. Redirections are not followed, because only the configured URL is
 * trusted.
 */
function fetchKeySet(url: string): Promise<KeySet> {
  return new Promise((resolve, reject) => {
    // The connection outlives the request that needs the keys first, so it must not run in the context of that request.
    runOutside(() => void load(url).then(resolve, reject));
  });
}

async function load(url: string): Promise<KeySet> {
  const response = await fetch(url, {
    redirect: "manual",
    headers: { Accept: "application/jwk-set+json, application/json" },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200) {
    response.body?.cancel().catch(() => {}); // rejects if the body was truncated
    throw new Error(`the answer was ${response.status || "a redirection"}`);
  }
  return new KeySet(parse(await textOf(response)));
}

/** Hides the parser's message, which quotes the body. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("the body is not JSON");
  }
}

async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let bytes = 0;
  let text = "";
  // Throwing out of the loop cancels the rest of the body.
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`the answer is larger than ${MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** The URL without its query, which may hold a client's secret. */
export function withoutSecrets(url: string): string {
  const { origin, protocol, pathname } = new URL(url);
  return origin === "null" ? protocol : `${origin}${pathname}`;
}
