import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { LayerInfo } from "../../src/lib/express/layer-info.js";
import type { LayerCall } from "../../src/lib/express/watch-layers.js";
import { type Inspection, stateOf } from "../../src/lib/request/state.js";
import { isHttp2 } from "../../src/lib/request/transport.js";
import { onEnd } from "../../src/lib/response/end-hooks.js";
import { SWITCHED } from "../../src/lib/response/take-over.js";
import { type ResponsePart, timeNewParts, watchOutermost } from "../../src/lib/response/watch-writes.js";
import { peek } from "../../src/lib/values/thrown.js";
import { RecordedCall } from "./call.js";
import { Clock } from "./clock.js";
import { HeaderHistory } from "./header-history.js";

/** More calls of layers in one request are counted, and not shown. */
const MAX_CALLS = 300;

const APP: LayerInfo = {
  kind: "app",
  name: "app",
  path: "/",
  concern: undefined,
  derivePath: undefined,
  isMember: false,
};

/** Parts that run for the head: the code that makes them run gives the answer. */
const OF_HEAD: ReadonlySet<ResponsePart> = new Set(["head hook", "onHead", "method"]);

export interface RecordingListener {
  /** The connection has switched to another protocol; layers may still get the request. */
  switched(recording: Recording): void;
  ended(recording: Recording): void;
}

/** One request on its way through the layers. */
export class Recording {
  readonly time = Date.now();
  readonly inspection: Inspection = {
    redaction: undefined,
    record: undefined,
    reports: [],
    takenOver: (status, isNow) => this.#takenOver(status, isNow),
  };
  /** The app first: it holds the request while no layer does. */
  readonly calls: RecordedCall[] = [new RecordedCall(0, undefined, APP, 0)];
  readonly clock: Clock;
  /** No layer: Node, while it writes the answer, and passes its bytes to the system. */
  readonly sending = new RecordedCall(-1, undefined, APP, 0);
  readonly headers = new HeaderHistory();
  readonly socket: Socket | undefined;
  readonly remoteAddress: string | undefined;
  answerer: RecordedCall;
  callsLeftOut = 0;
  hasEnded = false;
  /** The connection is a WebSocket now: its time is not the request's. */
  hasSwitched = false;
  #switchedAt = 0;
  /** From the switch until the connection closed. */
  openMs: number | undefined;
  /** Express-ws calls the app after the switch: the last layer that gets the request is the answerer. */
  #isHolderAnswerer = false;
  /** The innermost call that has not passed the request on. */
  #current: RecordedCall;
  #isPrepared = false;
  /** The app's answer has ended, and what is left is the way up. */
  #isEnding = false;
  /** How many parts of the way up are running, one inside the other. */
  #depth = 0;

  constructor(
    readonly id: number,
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    private readonly listener: RecordingListener,
    private readonly now: () => number,
  ) {
    this.#current = this.answerer = this.calls[0]!;
    this.clock = new Clock(this.#current, now);
    this.socket = req.socket as Socket | undefined;
    this.remoteAddress = this.socket?.remoteAddress;
    stateOf(req).inspection = this.inspection;
  }

  /** Lets the app handle the request. */
  run(handle: () => void): void {
    this.clock.enter(this.#current, "down");
    try {
      handle();
    } finally {
      this.#prepare();
      this.clock.leave();
    }
  }

  enter(layer: LayerInfo): LayerCall | undefined {
    this.#prepare();
    if (this.hasEnded) return undefined;
    if (this.calls.length > MAX_CALLS) {
      this.callsLeftOut++;
      return undefined;
    }
    const around = this.#current;
    this.clock.count();
    const { baseUrl } = this.req as { readonly baseUrl?: string };
    const call = new RecordedCall(this.calls.length, around, layer, this.clock.elapsed, baseUrl);
    this.calls.push(call);
    this.clock.enter(call, "down");
    this.#hold(call);
    return {
      next: (value) => this.#next(call, around, value),
      resumed: () => {
        this.clock.leave();
        this.clock.change(call, "up");
      },
      threw: (error) => this.#failed(call, around, "threw", error),
      rejected: (error) => this.#failed(call, around, "rejected", error),
      returned: () => {
        if (!call.hasPassed) this.#timeParts(call);
        this.clock.leave();
      },
    };
  }

  #next(call: RecordedCall, around: RecordedCall, value: unknown): void {
    this.#timeParts(call);
    const isIgnored = call.layer.isMember && isIgnoredByChain(call, around, value);
    if (call.hasPassed) call.passAgain(value);
    else call.pass(value);
    this.clock.enter(around, "down"); // it looks for its next layer
    if (call.layer.isMember && call.ending === "passed an error") around.hasFailedMember = true;
    if (!isIgnored) this.#hold(around);
  }

  /** After an error Express calls `next`. `chain()` does not: it goes on, and after the first error only. */
  #failed(call: RecordedCall, around: RecordedCall, ending: "threw" | "rejected", error: unknown): void {
    call.fail(ending, error);
    if (!call.layer.isMember || (around.hasFailedMember && call.layer.kind !== "error handler")) return;
    around.hasFailedMember = true;
    this.clock.count();
    this.#hold(around);
  }

  #hold(call: RecordedCall): void {
    this.#current = call;
    if (this.#isHolderAnswerer) this.answerer = call;
    if (!this.#isEnding) this.clock.hold(call, "held");
  }

  /** To be called once the app has put its prototypes on the response. */
  #prepare(): void {
    if (this.#isPrepared) return;
    this.#isPrepared = true;
    const { req, res } = this;
    onEnd(req, res, end, this);
    if (stateOf(req).takenOver === SWITCHED) this.#takenOver(SWITCHED, false); // noted by `serve`
    if (res.headersSent) return; // no layer was called, and Express has answered
    watchOutermost(res, noteHead, this, (run) => this.#send(run));
    this.headers.watch(res, () => this.#setter());
    this.#timeParts(this.calls[0]!);
    const stream = isHttp2(req) ? peek(res, "stream") : res;
    (stream as ServerResponse).once?.("prefinish", () => {
      this.#isEnding = true;
      this.clock.hold(this.sending, "held");
    });
  }

  /** The call whose code is running; undefined after an `await`, when that is not known. */
  #running(): RecordedCall | undefined {
    return this.clock.running(this.sending) as RecordedCall | undefined;
  }

  /** The index of the call that sets a header now. After an `await` it is the one that held the request. */
  #setter(): number {
    const { holder } = this.clock;
    return (this.#running() ?? (holder === this.sending ? this.#current : (holder as RecordedCall))).index;
  }

  /** Times the parts of the response that are new: this call has put them there. */
  #timeParts(call: RecordedCall): void {
    if (this.hasEnded) return;
    const recording = this;
    timeNewParts(this.res, (fn, part) => {
      const timed = function (this: unknown, ...args: never[]): unknown {
        return recording.hasEnded
          ? fn.apply(this, args)
          : recording.#runPart(call, part, () => fn.apply(this, args));
      };
      return timed as typeof fn;
    });
  }

  #runPart(call: RecordedCall, part: ResponsePart, run: () => unknown): unknown {
    if (OF_HEAD.has(part)) this.noteAnswerer();
    const ends = part === "onEnd" && !this.#isEnding;
    if (ends) this.#isEnding = true;
    this.clock.enter(call, "up");
    // The interceptor may end the response later: until then it holds the request.
    if (ends) this.clock.hold(call, "up");
    this.#depth++;
    try {
      return run();
    } finally {
      this.#timeParts(call); // a hook may add an interceptor
      this.#depth--;
      this.clock.leave();
    }
  }

  /** Node's own methods write the response. */
  #send<R>(run: () => R): R {
    if (this.hasEnded) return run();
    this.clock.enter(this.sending, "down");
    try {
      return run();
    } finally {
      this.clock.leave();
    }
  }

  /** Code that writes the head is running now, unless it is a part of the way up. */
  noteAnswerer(): void {
    if (this.#depth === 0 && !this.hasEnded) this.answerer = this.#running() ?? this.#current;
  }

  end(): void {
    if (this.hasEnded) return;
    if (this.hasSwitched) this.openMs = this.now() - this.#switchedAt;
    else this.clock.count();
    this.hasEnded = true;
    this.listener.ended(this);
  }

  #takenOver(status: number, isNow: boolean): void {
    if (this.hasSwitched || this.hasEnded) return;
    if (isNow) this.noteAnswerer();
    if (status !== SWITCHED) return; // it was refused
    this.#isHolderAnswerer = !isNow;
    this.clock.count();
    this.hasSwitched = true;
    this.#switchedAt = this.now();
    this.listener.switched(this);
  }
}

/** Each `next` after another member's error; and a second `next`, unless it brings a late error of what comes after. */
function isIgnoredByChain({ ending, layer }: RecordedCall, around: RecordedCall, value: unknown): boolean {
  if (around.hasFailedMember && layer.kind !== "error handler") return true;
  const bringsLateErrors = layer.kind === "chain" || layer.concern === "context";
  return ending !== undefined && !(bringsLateErrors && value !== undefined);
}

function noteHead(_res: ServerResponse, recording: Recording): void {
  recording.noteAnswerer();
}

function end(_res: ServerResponse, recording: Recording): void {
  recording.end();
}
