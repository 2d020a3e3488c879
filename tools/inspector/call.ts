import type { LayerInfo } from "../../src/lib/express/layer-info.js";
import { joinPaths } from "../../src/lib/express/mount-path.js";
import { describeThrown } from "../../src/lib/values/thrown.js";
import type { Times } from "./clock.js";
import type { Call, Ending, Fault } from "./report.js";

const MAX_STACK = 4_000;

/** One call of a layer, while it is recorded. */
export class RecordedCall implements Times {
  down = 0;
  held = 0;
  up = 0;
  ending: Ending | undefined = undefined;
  fault: Fault | undefined = undefined;
  repeats = false;
  readonly path: string;

  constructor(
    readonly index: number,
    readonly around: RecordedCall | undefined,
    readonly layer: LayerInfo,
    readonly startMs: number,
  ) {
    this.path = joinPaths(around?.path ?? "", layer.path);
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

  fail(ending: Ending, error: unknown): void {
    this.ending = ending;
    this.fault = faultOf(error);
  }

  report(): Call {
    const { layer, path, around, startMs, down, held, up, ending = "holds", fault, repeats } = this;
    const { kind, name, concern } = layer;
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
      fault,
      repeats,
    };
  }
}

export function faultOf(error: unknown): Fault {
  const { type, message, stack } = describeThrown(error);
  return { type, message, stack: stack?.slice(0, MAX_STACK) };
}

/** To the microsecond. */
export function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
