import type { LayerInfo } from "../../src/lib/express/layer-info.js";
import { joinPaths } from "../../src/lib/express/mount-path.js";
import { describeThrown, withoutQuote } from "../../src/lib/values/thrown.js";
import type { Times } from "./clock.js";
import type { Call, Ending, Fault } from "./report.js";

const MAX_STACK = 4_000;
/** Router 2.0 to 2.2 keep paths in variables alone. Most can be found by trying others; a RegExp cannot. */
const UNKNOWN_PATH = "/(?)";

/** One call of a layer, while it is recorded. */
export class RecordedCall implements Times {
  down = 0;
  held = 0;
  up = 0;
  ending: Ending | undefined = undefined;
  fault: Fault | undefined = undefined;
  repeats = false;
  /** Of a chain: one of its members has failed, and only its error handlers still pass the request on. */
  hasFailedMember = false;
  readonly path: string;

  constructor(
    readonly index: number,
    readonly around: RecordedCall | undefined,
    readonly layer: LayerInfo,
    readonly startMs: number,
    /** Express's `req.baseUrl` when it was called: the part of the path that was matched so far. */
    readonly baseUrl = "",
  ) {
    const own = layer.path ?? layer.derivePath?.(baseUrl.slice(around?.baseUrl.length ?? 0)) ?? UNKNOWN_PATH;
    this.path = joinPaths((layer.isMember ? around : outsideRoute(around))?.path ?? "", own);
  }

  get hasPassed(): boolean {
    return this.ending !== undefined && this.ending !== "threw" && this.ending !== "rejected";
  }

  /** It has called `next` with this value, for the first time. */
  pass(value: unknown): void {
    if (this.ending !== undefined) {
      this.ending = this.ending === "threw" || this.ending === "rejected" ? this.ending : "passed on";
      return;
    }
    if (!value) this.ending = "passed on";
    else if (value === "route" || value === "router") this.ending = "left the route";
    else this.fail("passed an error", value);
  }

  /** It has called `next` again. An error that it brings late is known by nothing else. */
  passAgain(value: unknown): void {
    this.repeats = true;
    const isError = value && value !== "route" && value !== "router";
    if (isError && this.layer.concern !== "context") this.fault ??= faultOf(value);
  }

  fail(ending: Ending, error: unknown): void {
    this.ending = ending;
    this.fault = faultOf(error);
  }

  report(): Call {
    const { layer, path, around, startMs, down, held, up, ending = "holds", fault, repeats } = this;
    const { kind, name, concern, source } = layer;
    return {
      parent: around?.index ?? -1,
      kind,
      name,
      path,
      concern,
      startMs: round(startMs),
      downMs: round(down),
      heldMs: round(held),
      upMs: round(up),
      ending,
      source,
      fault,
      repeats,
    };
  }
}

/** A handler of a route that calls the app or a router gives it the whole path: the route has taken no part of it. */
function outsideRoute(around: RecordedCall | undefined): RecordedCall | undefined {
  if (around === undefined || around.layer.kind === "route" || around.layer.kind === "router") return around;
  let frame: RecordedCall | undefined = around;
  while (frame?.layer.kind === "middleware" || frame?.layer.kind === "chain") frame = frame.around;
  return frame?.layer.kind === "route" ? frame.around : around;
}

export function faultOf(error: unknown): Fault {
  const { type, message, stack } = describeThrown(error);
  return {
    type,
    message: withoutQuote(message),
    stack: stack && withoutQuote(stack).slice(0, MAX_STACK),
  };
}

/** To the microsecond. */
export function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
