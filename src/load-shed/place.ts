import { AsyncResource } from "node:async_hooks";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type HeldPlace, type RequestState, stateOf } from "../lib/request/state.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { beforeHead } from "../lib/response/intercept.js";
import { watchTakeOver } from "../lib/response/take-over.js";
import type { Limiter, LoadShedReason } from "./limiter.js";

/** What is used of a `Shedder` here. */
interface Owner {
  readonly plan: { readonly queueMs: number };
  readonly limiter: Limiter;
  readonly waiting: Set<Waiting>;
  released(): void;
  refuse(req: IncomingMessage, res: ServerResponse, reason: LoadShedReason): void;
}

/** A request's place among those in flight: from here until its head is written, or until the client has left. */
export class Place implements HeldPlace {
  readonly outer: HeldPlace | undefined;
  private isHeld = true;
  /** How many requests were in flight, with this one. */
  private readonly inFlight: number;

  /**
   * @param startedMs when the place was given
   * @param loopWaitMs how long the request waited for the event loop before
   */
  constructor(
    readonly owner: Owner,
    private readonly res: ServerResponse,
    readonly state: RequestState,
    private readonly startedMs: number,
    private readonly loopWaitMs: number,
  ) {
    this.outer = state.place;
    this.inFlight = owner.limiter.take();
    state.place = this;
    beforeHead(res, headBegins, this);
  }

  release(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.owner.released();
  }

  /** To be called after `next()`: most requests are answered by then, and need no end hook. */
  watchEnd(): void {
    if (this.isHeld) onEnd(this.res.req, this.res, ended, this);
  }

  headBegins(): void {
    if (!this.isHeld) return;
    const { owner, res, state } = this;
    const nowMs = performance.now();
    const latencyMs = nowMs - this.startedMs + this.loopWaitMs;
    owner.limiter.answered(nowMs, latencyMs, isSample(res, state) ? this.inFlight : undefined);
    this.release();
  }
}

/** Runs before the head is written. */
function headBegins(_res: ServerResponse, place: Place): void {
  place.headBegins();
}

/** An end hook. */
function ended(_res: ServerResponse, place: Place): void {
  place.release();
}

/** Whether the latency is that of a handler: what other middleware answers is too fast, and errors may be. */
function isSample(res: ServerResponse, { refused, timedOut, cache, failed }: RequestState): boolean {
  const { statusCode } = res;
  if (statusCode >= 400 || statusCode === 304 || statusCode === 101) return false;
  if (refused !== undefined || timedOut || failed || cache === "hit" || cache === "stale") return false;
  const type = res.getHeader("content-type");
  return typeof type !== "string" || !type.startsWith("text/event-stream");
}

/** Gives a request its place, and passes it on. */
export function enter(
  owner: Owner,
  req: IncomingMessage,
  res: ServerResponse,
  next: () => void,
  startedMs: number,
  loopWaitMs: number,
): void {
  const place = new Place(owner, res, stateOf(req), startedMs, loopWaitMs);
  watchTakeOver(req, res);
  try {
    next();
  } finally {
    place.watchEnd();
  }
}

/** A request that waits for a place. */
export class Waiting {
  /** Another request's answer makes room: the handler must not run in the async context of that request. */
  private readonly context = new AsyncResource("express-portico");
  private readonly timer: NodeJS.Timeout;
  private readonly sinceMs = performance.now();

  constructor(
    private readonly owner: Owner,
    private readonly req: IncomingMessage,
    private readonly res: ServerResponse,
    private readonly next: () => void,
    private readonly loopWaitMs: number,
  ) {
    this.timer = setTimeout(waitedTooLong, owner.plan.queueMs, this).unref();
    onEnd(req, res, noLongerWaits, this);
  }

  /** A place is free. */
  admit(): void {
    this.dequeue();
    const { owner, req, res } = this;
    if (res.headersSent || res.writableEnded || res.destroyed) return; // an outer timeout has answered
    this.context.runInAsyncScope(() => {
      if (performance.now() - this.sinceMs > owner.plan.queueMs) owner.refuse(req, res, "queue");
      else enter(owner, req, res, this.next, performance.now(), this.loopWaitMs);
    });
  }

  refuse(): void {
    if (!this.dequeue()) return;
    this.context.runInAsyncScope(() => this.owner.refuse(this.req, this.res, "queue"));
  }

  /** Takes it out of the queue. Returns whether it was there. */
  dequeue(): boolean {
    clearTimeout(this.timer);
    return this.owner.waiting.delete(this);
  }
}

function waitedTooLong(waiting: Waiting): void {
  waiting.refuse();
}

/** An end hook: the request no longer waits. */
function noLongerWaits(_res: ServerResponse, waiting: Waiting): void {
  waiting.dequeue();
}
