import { type Chunk, type Outlet, type Tap, tapBody, type WriteCallback } from "../http/body-tap.js";
import { dropLostBody } from "../http/lost-body.js";
import { onEnd } from "../http/response-hooks.js";
import { type HeaderList, headersOf } from "../http/response-snapshot.js";
import { isThenable } from "../http/thenable.js";
import { compile } from "./compiled.js";
import { ask, giveBack, isConditional } from "./conditions.js";
import type { Entry } from "./entry.js";
import type { Flight, Landing } from "./flight.js";
import { keep, setApart, whyNotKept } from "./keep.js";
import { type Prepared, prepare } from "./reply.js";
import { cacheStatus } from "./rules/cache-status.js";
import { notModified } from "./rules/conditional.js";
import type { Policy } from "./rules/policy.js";
import { mayServeOnError } from "./rules/reuse.js";
import { storedHeaders, tagsOf, updatedHeaders, varyFieldsOf } from "./rules/stored-headers.js";
import type { Lookup } from "./store.js";
import { addStatus, type Forwarding, type Visit } from "./visit.js";

/** Answers that a stale one may stand in for (RFC 5861 section 4). */
const ERRORS = new Set([500, 502, 503, 504]);

/** Asks the handlers, and keeps what they answer if it may be kept. Those who wait are told when it is there. */
export function fill(visit: Visit, lookup: Lookup, fwd: Forwarding, flight: Flight | undefined): void {
  const { req, res } = visit;
  const policy = lookup.entry && compile(lookup.entry).policy;
  ask(visit, policy);
  tapBody(res, (outlet) => {
    const task = new Fill(visit, lookup, policy, fwd, flight, outlet);
    onEnd(req, res, leave, task);
    return task;
  });
  visit.next();
}

function leave(_res: unknown, task: Fill): void {
  task.leave();
}

class Fill implements Tap {
  private readonly before: HeaderList;
  private readonly requestedAt = Date.now();
  /** What is kept of the answer, once its head has come and may be kept. */
  private kept: Omit<Entry, "body"> | undefined = undefined;
  /** Those of Vary that the answer is a variant by. */
  private fields = "";
  private chunks: Buffer[] = [];
  private size = 0;
  /** The length that the handler has given, if it has. */
  private declared = Number.POSITIVE_INFINITY;
  /** The client has been answered otherwise: the handlers' bytes do not go on to it. */
  private silent = false;
  private counted = false;
  private storing = false;

  constructor(
    private readonly visit: Visit,
    private readonly lookup: Lookup,
    private readonly policy: Policy | undefined,
    private readonly fwd: Forwarding,
    private readonly flight: Flight | undefined,
    private readonly outlet: Outlet,
  ) {
    this.before = headersOf(visit.res);
  }

  head(status: number, reason: string | undefined, whole: number | undefined): void {
    const now = Date.now();
    const policy = this.policy;
    const { entry } = this.lookup;
    const canReplace = entry !== undefined && policy !== undefined && this.visit.conditions !== undefined;
    if (canReplace && status === 304) this.renew(entry, now);
    else if (canReplace && ERRORS.has(status) && mayServeOnError(policy, now))
      this.rescue(entry, status, now);
    else this.begin(status, reason, whole, now);
  }

  write(chunk: Chunk, encoding: BufferEncoding | undefined, callback: WriteCallback | undefined): boolean {
    const bytes = this.gather(chunk, encoding);
    if (!this.silent) return this.outlet.write(bytes, encoding, callback);
    if (callback !== undefined) process.nextTick(callback);
    return true;
  }

  end(
    chunk: Chunk | undefined,
    encoding: BufferEncoding | undefined,
    callback: WriteCallback | undefined,
  ): void {
    const bytes = chunk === undefined ? undefined : this.gather(chunk, encoding);
    this.complete();
    this.outlet.end(this.silent ? undefined : bytes, encoding, callback);
  }

  flush(): void {
    this.outlet.flushHeaders();
  }

  /** The response has ended, by whosoever's doing: what has not been completed by now is not whole. */
  leave(): void {
    giveBack(this.visit);
    this.count();
    this.kept = undefined;
    if (!this.storing) this.flight?.land("lost");
  }

  private begin(status: number, reason: string | undefined, whole: number | undefined, now: number): void {
    const { visit } = this;
    const { res, conditions } = visit;
    setLength(res, status, whole);
    if (!res.hasHeader("date") && res.sendDate) res.setHeader("Date", new Date(now).toUTCString());
    const headers = headersOf(res);
    const why = whyNotKept(visit, status, headers);
    if (why === undefined) this.keepHead(status, reason ?? "", headers, now);
    else this.apart();
    this.count();
    const parts = { fwd: this.fwd, ...(why === undefined ? { stored: true } : { detail: why }) };
    addStatus(res, cacheStatus(visit.state.plan.name, parts));
    const isWhole = status >= 200 && status < 300 && status !== 206;
    if (
      isWhole &&
      conditions !== undefined &&
      isConditional(conditions) &&
      notModified(conditions, headers)
    ) {
      this.answerNotModified();
    } else {
      this.outlet.writeHead(status, reason);
    }
  }

  private keepHead(status: number, reason: string, all: HeaderList, now: number): void {
    const { visit } = this;
    const headers = storedHeaders(all, this.before);
    const length = visit.res.getHeader("content-length");
    if (length !== undefined) this.declared = Number(length);
    this.kept = {
      status,
      reason,
      headers,
      requestedAt: this.requestedAt,
      respondedAt: now,
      authorized: visit.isPersonal,
      tags: tagsOf(headers),
    };
    // Also by the fields that middleware further out has named: its part in the answer depends on them.
    const fields = varyFieldsOf(all);
    this.fields = fields;
    visit.state.habits.set(visit.resource, { fields, apartUntil: 0 });
    this.flight?.release(visit.placeOf(fields), fields, visit.variantOf(fields));
  }

  private gather(chunk: Chunk, encoding: BufferEncoding | undefined): Chunk {
    if (this.kept === undefined) return chunk;
    // A copy: the app may use its buffer again. What is beyond the declared length belongs to no response: a client
    // would take it for the next one.
    const given = typeof chunk === "string" ? Buffer.from(chunk, encoding) : Buffer.from(chunk);
    const bytes = given.subarray(0, this.declared - this.size);
    this.size += bytes.length;
    if (this.size <= this.visit.state.plan.store.maxEntryBytes) this.chunks.push(bytes);
    else {
      this.kept = undefined;
      this.chunks = [];
      this.apart();
    }
    return bytes;
  }

  private complete(): void {
    const { kept } = this;
    if (kept === undefined) return;
    this.kept = undefined;
    if (Number.isFinite(this.declared) && this.declared !== this.size) return; // the handler has not given all of it
    const body = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks, this.size);
    this.store({ ...kept, body }, this.fields);
  }

  private store(entry: Entry, fields: string): void {
    const landing = keep(this.visit, entry, fields, this.lookup.stamp);
    this.storing = true;
    if (typeof landing === "string") this.flight?.land(landing);
    else void landing.then((after: Landing) => this.flight?.land(after));
  }

  /** The handlers say that the stored answer still holds (RFC 9111 section 4.3.4). */
  private renew(entry: Entry, now: number): void {
    const { visit } = this;
    const { res } = visit;
    if (!res.hasHeader("date")) res.setHeader("Date", new Date(now).toUTCString());
    const said = headersOf(res);
    const headers = updatedHeaders(entry.headers, storedHeaders(said, this.before));
    const renewed = {
      ...entry,
      headers,
      tags: tagsOf(headers),
      requestedAt: this.requestedAt,
      respondedAt: now,
    };
    const all = [...headers, ...said];
    const why = whyNotKept(visit, entry.status, all);
    if (why === undefined) this.store(renewed, varyFieldsOf(all));
    else {
      this.forget();
      this.apart();
    }
    const parts = {
      fwd: this.fwd,
      fwdStatus: 304,
      ...(why === undefined ? { stored: true } : { detail: why }),
    };
    this.replace(prepare(visit, renewed, now, parts));
  }

  /** What is stored may no longer be: the handlers have changed their mind about it. */
  private forget(): void {
    const { state, key } = this.visit;
    const done = state.plan.store.purge({ host: key.host, target: key.target });
    if (isThenable(done)) done.then(undefined, () => {});
  }

  /** The handlers have failed, and an old answer is better than none. */
  private rescue(entry: Entry, status: number, now: number): void {
    dropLostBody(this.visit.res);
    const parts = { fwd: this.fwd, fwdStatus: status, detail: "stale-if-error" } as const;
    this.replace(prepare(this.visit, entry, now, parts));
    this.flight?.land("failed");
  }

  private replace({ status, reason, body }: Prepared): void {
    this.counted = true;
    this.answerInstead(status, reason);
    if (body !== undefined) this.outlet.write(body);
  }

  private answerNotModified(): void {
    const { res } = this.visit;
    for (const name of res.getHeaderNames()) {
      if (/^content-(?!location$|security)/.test(name)) res.removeHeader(name);
    }
    this.answerInstead(304, "");
  }

  private answerInstead(status: number, reason: string): void {
    const { req, res } = this.visit;
    this.silent = true;
    if (req.httpVersionMajor < 2) res.statusMessage = reason;
    res.statusCode = status;
    this.outlet.writeHead(status);
  }

  private apart(): void {
    setApart(this.visit);
    this.flight?.land("apart");
  }

  private count(): void {
    if (this.counted) return;
    this.counted = true;
    this.visit.count("miss");
  }
}

/** As Node does it for a body that comes in one piece. */
function setLength(res: Visit["res"], status: number, whole: number | undefined): void {
  const hasBody = res.req.method !== "HEAD" && status !== 204 && status !== 304;
  if (whole === undefined || !hasBody) return;
  if (!res.hasHeader("content-length") && !res.hasHeader("transfer-encoding"))
    res.setHeader("Content-Length", whole);
}
