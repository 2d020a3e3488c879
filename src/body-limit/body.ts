import type { IncomingMessage } from "node:http";
import { isHttp2 } from "../lib/request/transport.js";
import type { BodyLimitPlan } from "./options.js";

/** Why a body is refused. */
export type Reason = "size" | "time";

/** What is used of a `Guard` here. */
interface Limiting {
  readonly plan: BodyLimitPlan;
  refuse(reason: Reason): void;
}

/** The bodies that are counted. */
const bodies = new WeakMap<IncomingMessage, CountedBody>();

/** The counted body of a request; made on first use. */
export function bodyOf(req: IncomingMessage): CountedBody {
  let body = bodies.get(req);
  if (body === undefined) {
    body = new CountedBody(req);
    bodies.set(req, body);
  }
  return body;
}

/**
 * Counts a body where Node's parser puts it into the request's stream, so that it is the same for every reader and nothing
 * is kept. All guards of a request share it.
 */
class CountedBody {
  /** Bytes that have come. What was read before this middleware is not counted. */
  received: number;
  /** The guard with the smallest limit. */
  private smallest: Limiting | undefined = undefined;
  private readonly timers: NodeJS.Timeout[] = [];
  /** A refusal that waits until the body is read. If it never is, the handler's response is sent. */
  private pending: { readonly guard: Limiting; readonly reason: Reason } | undefined = undefined;
  private isRead: boolean;
  private isRefused = false;
  private readonly push: IncomingMessage["push"];
  private readonly read: IncomingMessage["_read"];

  constructor(private readonly req: IncomingMessage) {
    this.received = req.readableLength;
    // On HTTP/2 data comes only if somebody reads.
    this.isRead = isHttp2(req) || req.readableFlowing === true || req.readableDidRead;
    this.push = req.push;
    this.read = req._read;
    req.push = pushCounted;
    req._read = readCounted;
  }

  /** Whether the body is longer than its limit, or too slow, and nobody has read it. */
  get isPending(): boolean {
    return this.pending !== undefined;
  }

  /** Whether these limits have an effect. A size has none if an earlier limit is as small or smaller. */
  needs({ limit, timeMs }: BodyLimitPlan): boolean {
    return !this.isRefused && (limit < this.limit || timeMs !== undefined);
  }

  /** Adds the limits of a guard. Returns false if it has refused the body at once. */
  add(guard: Limiting): boolean {
    const { limit, timeMs } = guard.plan;
    if (limit < this.limit) this.smallest = guard;
    if (this.received > this.limit) {
      this.refuse(guard, "size");
      return false;
    }
    if (timeMs !== undefined) this.startTimer(guard, timeMs);
    return true;
  }

  private startTimer(guard: Limiting, timeMs: number): void {
    const timer = setTimeout(() => this.expire(guard), timeMs).unref();
    this.timers.push(timer);
    this.req.once("close", () => clearTimeout(timer));
  }

  /** The smallest limit of all. */
  get limit(): number {
    return this.smallest?.plan.limit ?? Number.POSITIVE_INFINITY;
  }

  /** What Node's parser, or an adapter, pushes into the stream. Returns false to make it pause. */
  take(chunk: unknown, encoding: BufferEncoding | undefined): boolean {
    if (chunk === null) this.stopTimers();
    if (this.isRefused) return true;
    // Also drops the end of the body: with it, a reader would treat the part before as the whole.
    if (this.pending !== undefined) return false;
    if (chunk === null) return this.push.call(this.req, null);
    this.received += bytesOf(chunk, encoding);
    if (this.received <= this.limit) return this.push.call(this.req, chunk, encoding);
    this.exceed(this.smallest!, "size");
    return this.isRefused;
  }

  /** Somebody reads the body, or Node drops it. */
  noteRead(size: number): void {
    this.isRead = true;
    if (this.pending !== undefined) {
      const { guard, reason } = this.pending;
      this.pending = undefined;
      this.refuse(guard, reason);
    }
    this.read.call(this.req, size);
  }

  private expire(guard: Limiting): void {
    if (!this.req.destroyed && !this.isRefused) this.exceed(guard, "time");
  }

  private exceed(guard: Limiting, reason: Reason): void {
    if (this.isRead) this.refuse(guard, reason);
    else this.pending ??= { guard, reason };
  }

  private refuse(guard: Limiting, reason: Reason): void {
    this.isRefused = true;
    this.stopTimers();
    guard.refuse(reason);
  }

  private stopTimers(): void {
    for (const timer of this.timers) clearTimeout(timer);
  }
}

// Shared by all requests; they find their body by the request.

function pushCounted(this: IncomingMessage, chunk: unknown, encoding?: BufferEncoding): boolean {
  return bodies.get(this)!.take(chunk, encoding);
}

function readCounted(this: IncomingMessage, size: number): void {
  bodies.get(this)!.noteRead(size);
}

function bytesOf(chunk: unknown, encoding: BufferEncoding | undefined): number {
  return typeof chunk === "string" ? Buffer.byteLength(chunk, encoding) : (chunk as Uint8Array).byteLength;
}
