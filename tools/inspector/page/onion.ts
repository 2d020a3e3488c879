import type { Call, Detail } from "../report.js";
import { duration, h, statusClass, withShare } from "./dom.js";
import { frameName, isOwn, layerName } from "./names.js";
import { isSlow, selfOf, slowestOf } from "./slowest.js";

/** Fewer layers in a row are sooner read than opened. */
const MIN_FOLDED = 4;

/**
 * Draws the layers, one within the other, with the times of each on the way down (left) and up (right). Layers in a row that
 * only passed the request on are folded to one line: what answered, failed or took time is then seen without scrolling.
 */
export function onion(detail: Detail): HTMLElement {
  const { calls, sendingMs, summary, callsLeftOut } = detail;
  const slowest = slowestOf(calls);
  const tags = calls.map((call, i) => tagsOf(detail, call, i, i === slowest));
  const isCalm = calls.map(
    (call, i) => tags[i]!.every((tag) => tag === false) && !tookTime(call, summary.totalMs),
  );
  const skins = calls.map((call, i) => {
    const skin = h("li", { class: `skin ${isOwn(call.kind) ? "own" : "frame"}` });
    skin.append(rowOf(detail, i, tags[i]!, isCalm[i]!, i === slowest));
    return skin;
  });
  for (let i = 1; i < skins.length; i++) skins[i - 1]!.append(h("ol", { class: "inside" }, skins[i]));
  for (const { from, to } of runsOf(isCalm)) fold(detail, skins, from, to);
  const depth = calls.length;
  const drawing = h("ol", { class: "onion" }, skins[0]);
  withShare(drawing, "--wide", Math.max(1, Math.min(7, Math.floor(110 / depth))));
  withShare(drawing, "--narrow", Math.max(1, Math.min(4, Math.floor(42 / depth))));
  withShare(drawing, "--tint", Math.min(3.5, 26 / depth));
  return h(
    "div",
    { class: "onion-box" },
    h(
      "p",
      { class: "legend" },
      h("span", {}, "↓ way in"),
      h("span", {}, h("i", { class: "swatch solid" }), "runs"),
      h("span", {}, h("i", { class: "swatch waits" }), "waits"),
      h("span", {}, "width: share of the total"),
      h("span", {}, "way back ↑"),
    ),
    drawing,
    callsLeftOut > 0 && h("p", { class: "note" }, `${callsLeftOut} more calls are not shown.`),
    h(
      "p",
      { class: "sum" },
      "Layers ",
      h("b", {}, duration(calls.reduce((sum, call) => sum + selfOf(call), 0))),
      " + sending ",
      h("b", {}, duration(sendingMs)),
      " = total ",
      h("b", {}, duration(summary.totalMs ?? 0)),
    ),
  );
}

/** A millisecond and a tenth of the total, or enough for a warning. */
function tookTime(call: Call, totalMs = 0): boolean {
  return isSlow(call) || selfOf(call) >= Math.max(1, totalMs / 10);
}

/** The runs of calm layers that are long enough to be folded. */
function runsOf(isCalm: readonly boolean[]): { readonly from: number; readonly to: number }[] {
  const runs = [];
  for (let from = 0, to = 0; from < isCalm.length; from = to + 1) {
    for (to = from; isCalm[to]; ) to++;
    if (to - from >= MIN_FOLDED) runs.push({ from, to });
  }
  return runs;
}

/** Puts a button before the rows, which hides and shows them. */
function fold({ calls }: Detail, skins: readonly HTMLElement[], from: number, to: number): void {
  const folded = calls.slice(from, to);
  const rows = skins.slice(from, to).map((skin) => skin.firstElementChild as HTMLElement);
  const names = folded
    .map((call) => (isOwn(call.kind) ? layerName(call, calls) : frameName(call)))
    .join(", ");
  const ms = duration(folded.reduce((sum, call) => sum + selfOf(call), 0));
  const toggle = () => {
    const isOpen = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(isOpen));
    for (const row of rows) row.hidden = !isOpen;
    for (const skin of skins.slice(from + 1, to)) skin.classList.toggle("is-flat", !isOpen);
  };
  const button = h(
    "button",
    { type: "button", class: "fold", "aria-expanded": "true", title: `${names}: ${ms}`, onclick: toggle },
    h("span", { class: "ms" }, ms),
    h("span", { class: "names" }, `${from}–${to - 1} ${names}`),
  );
  toggle();
  skins[from]!.prepend(button);
}

type Tag = HTMLElement | false;

function tagsOf({ summary, answerer }: Detail, call: Call, i: number, isSlowest: boolean): Tag[] {
  const { ending, fault, repeats, kind } = call;
  const isAnswerer = i === answerer && summary.status !== undefined;
  return [
    isAnswerer &&
      h("span", { class: `tag answer ${statusClass(summary.status)}` }, `answered ${summary.status}`),
    hasFailed(call) && h("span", { class: "tag bad" }, `${ending} ${fault?.type ?? ""}`),
    (ending === "passed an error" || (ending === "passed on" && fault !== undefined)) &&
      isOwn(kind) &&
      h("span", { class: "tag bad" }, `next(${fault?.type ?? "error"})`),
    ending === "left the route" && h("span", { class: "tag" }, "left the route"),
    ending === "holds" && isOwn(kind) && !isAnswerer && h("span", { class: "tag warn" }, "did not finish"),
    repeats && h("span", { class: "tag warn" }, "called next() again"),
    isSlowest && h("span", { class: `tag${isSlow(call) ? " slow" : ""}` }, "slowest"),
  ];
}

function hasFailed({ ending }: Call): boolean {
  return ending === "threw" || ending === "rejected";
}

function rowOf(
  { summary, answerer, calls }: Detail,
  i: number,
  tags: Tag[],
  isCalm: boolean,
  isSlowest: boolean,
): HTMLElement {
  const call = calls[i]!;
  const { downMs, heldMs, upMs, source } = call;
  const isAnswerer = i === answerer && summary.status !== undefined;
  const className = [
    "layer",
    isAnswerer ? `is-answer ${statusClass(summary.status)}` : "",
    hasFailed(call) ? "is-failed" : "",
    isSlowest ? "is-slowest" : "",
    isCalm ? "is-calm" : "",
  ];
  const total = summary.totalMs || 1;
  return h(
    "div",
    { class: className.join(" "), title: titleOf(call, i, calls) },
    h("span", { class: "ms" }, `↓ ${duration(downMs + heldMs)}`),
    h(
      "span",
      { class: "who" },
      nameOf(call, i, calls),
      h("span", { class: "tags" }, tags),
      source !== undefined && !isCalm && h("code", { class: "source" }, source),
    ),
    h("span", { class: "ms" }, upMs === 0 ? "" : `${duration(upMs)} ↑`),
    h(
      "span",
      { class: "bars" },
      bar("solid", downMs / total),
      bar("waits", heldMs / total),
      bar("solid up", upMs / total),
    ),
  );
}

function nameOf(call: Call, i: number, calls: readonly Call[]): HTMLElement {
  const { kind, path, parent } = call;
  const hasPath = parent !== -1 && path !== "/" && path !== "";
  return h(
    "span",
    { class: "name", "data-layer": i === 0 ? undefined : i },
    isOwn(kind) ? layerName(call, calls) : frameName(call),
    kind === "error handler" && h("small", {}, " error handler"),
    hasPath && !(isOwn(kind) && path === calls[parent]?.path) && h("span", { class: "at" }, path),
  );
}

function titleOf(call: Call, i: number, calls: readonly Call[]): string {
  const { path, downMs, heldMs, upMs, startMs, source } = call;
  const name = isOwn(call.kind) ? layerName(call, calls) : frameName(call);
  const times = `ran ${duration(downMs)} on the way in, waited ${duration(heldMs)}, ran ${duration(upMs)} on the way back; called after ${duration(startMs)}`;
  const code = source === undefined ? "" : `\n${source}`;
  return `${i === 0 ? "" : `layer ${i}: `}${name} at ${path || "/"}: ${times}${code}`;
}

function bar(kind: string, share: number): HTMLElement {
  return withShare(h("i", { class: `bar ${kind}` }), "--share", Math.min(1, share));
}
