import type { IncomingMessage, ServerResponse } from "node:http";
import { stateOf } from "../lib/request/state.js";
import { isServed } from "../lib/request/transport.js";
import { answerProblem } from "../lib/response/send-problem.js";
import { eventLoop } from "./event-loop.js";
import { Limiter, type LoadShedReason } from "./limiter.js";
import { LoopDelay } from "./loop-delay.js";
import type { LoadShedPlan } from "./options.js";
import { enter, Waiting } from "./place.js";

const DETAIL = "The server is too busy. Try again later.";
const MAX_RETRY_SECONDS = 5;

/** What one `loadShed` knows: who is in flight, who waits, and the limit. */
export class Shedder {
  shed = 0;
  /** First come, first served. */
  readonly waiting = new Set<Waiting>();
  readonly limiter: Limiter;
  private readonly loopDelay = new LoopDelay();
  private isAdmitting = false;

  constructor(readonly plan: LoadShedPlan) {
    this.limiter = new Limiter(plan, eventLoop());
  }

  /** Passes the request on, lets it wait, or refuses it. */
  handle(req: IncomingMessage, res: ServerResponse, next: () => void): void {
    const nowMs = performance.now();
    const { limiter, waiting } = this;
    const { maxDelayMs, queue } = this.plan;
    // How long a request from an adapter or a test has waited is not known.
    const loopWaitMs = isServed(req, res) ? limiter.arrive(nowMs) : 0;
    const isLate = maxDelayMs !== undefined && this.loopDelay.read(nowMs) > maxDelayMs;
    if (loopWaitMs === undefined || isLate) this.refuse(req, res, "delay");
    else if (!limiter.isFull && waiting.size === 0) enter(this, req, res, next, nowMs, loopWaitMs);
    else if (waiting.size < queue) waiting.add(new Waiting(this, req, res, next, loopWaitMs));
    else this.refuse(req, res, queue === 0 ? "limit" : "queue");
  }

  /** A place is free: the next one that waits gets it, once the code that gave it back has run to its end. */
  released(): void {
    this.limiter.inFlight--;
    if (this.waiting.size === 0 || this.isAdmitting) return;
    this.isAdmitting = true;
    process.nextTick(admit, this);
  }

  admitWaiting(): void {
    try {
      for (const one of this.waiting) {
        if (this.limiter.isFull) break;
        one.admit();
      }
    } finally {
      this.isAdmitting = false;
    }
  }

  refuse(req: IncomingMessage, res: ServerResponse, reason: LoadShedReason): void {
    this.shed++;
    stateOf(req).refused = { by: "loadShed", reason };
    // Clients that come back together would be too many again.
    res.setHeader("Retry-After", String(1 + Math.floor(Math.random() * MAX_RETRY_SECONDS)));
    answerProblem(req, res, 503, { detail: DETAIL });
  }
}

function admit(shedder: Shedder): void {
  shedder.admitWaiting();
}
