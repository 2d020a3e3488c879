import type { Call, Detail } from "../report.js";
import { duration, h } from "./dom.js";
import { isOwn, layerName } from "./names.js";

/** Nobody waits for less: the figures of the layers say it, and it would only draw the eye away from the answer. */
const MIN_MS = 10;
/** As a delay of the event loop, and as browsers call a task "long". Below, the slowest layer is a fact, from here on a warning. */
const SLOW_MS = 50;

export function selfOf({ downMs, heldMs, upMs }: Call): number {
  return downMs + heldMs + upMs;
}

/** The layer with the longest time of its own, if that is a good part of the total; else -1. */
export function slowestOf(calls: readonly Call[]): number {
  if (calls[0]?.kind === "server") return -1; // there is no other
  const own = calls.map((call) => (isOwn(call.kind) ? selfOf(call) : 0));
  const longest = Math.max(...own);
  const total = calls.reduce((sum, call) => sum + selfOf(call), 0);
  return longest >= MIN_MS && longest > total / 4 ? own.indexOf(longest) : -1;
}

export function isSlow(call: Call): boolean {
  return selfOf(call) >= SLOW_MS;
}

/** In the head, because the layer may be far below: `slowest: loadReport 812 ms, 94 % of the time`. */
export function slowestButton({ calls, summary }: Detail): HTMLElement | undefined {
  const call = calls[slowestOf(calls)];
  if (call === undefined) return undefined;
  const share = Math.round((100 * selfOf(call)) / (summary.totalMs || 1));
  return h(
    "button",
    {
      type: "button",
      class: `slowest${isSlow(call) ? " is-slow" : ""}`,
      title: "Show it ( s )",
      onclick: showSlowest,
    },
    h("small", {}, "slowest: "),
    `${layerName(call, calls)} ${duration(selfOf(call))}, ${share} % of the time`,
  );
}

/** Scrolls to the slowest layer, and shows which one it is. */
export function showSlowest(): void {
  const layer = document.querySelector<HTMLElement>(".layer.is-slowest");
  if (layer === null) return;
  layer.scrollIntoView({ block: "center" });
  layer.classList.remove("is-found");
  void layer.offsetWidth; // so that the animation begins again
  layer.classList.add("is-found");
}
