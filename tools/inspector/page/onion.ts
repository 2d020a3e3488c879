import type { Call, Detail } from "../report.js";
import { duration, h, statusClass, withShare } from "./dom.js";

/** Draws the layers, one within the other, with the times of each on the way down (left) and up (right). */
export function onion(detail: Detail): HTMLElement {
  const { calls, sendingMs, summary, callsLeftOut } = detail;
  const longest = Math.max(...calls.map(selfOf), sendingMs, 0.001);
  const slowest = slowestOf(calls);
  let inner: HTMLElement | undefined;
  for (let i = calls.length - 1; i >= 0; i--) {
    const call = calls[i]!;
    const row = rowOf(detail, call, i, longest, i === slowest);
    inner = h(
      "li",
      { class: `skin ${isOwn(call.kind) ? "own" : "frame"}` },
      row,
      inner && h("ol", { class: "inside" }, inner),
    );
  }
  const depth = calls.length;
  const drawing = h("ol", { class: "onion" }, inner);
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

/** The layer with the longest time of its own, if that is a good part of the total. */
function slowestOf(calls: readonly Call[]): number {
  const own = calls.map((call) => (isOwn(call.kind) ? selfOf(call) : 0));
  const longest = Math.max(...own);
  const total = calls.reduce((sum, call) => sum + selfOf(call), 0);
  return longest > total / 4 ? own.indexOf(longest) : -1;
}

function selfOf({ downMs, heldMs, upMs }: Call): number {
  return downMs + heldMs + upMs;
}

function rowOf(
  { summary, answerer, calls }: Detail,
  call: Call,
  i: number,
  longest: number,
  isSlowest: boolean,
): HTMLElement {
  const { downMs, heldMs, upMs, ending, fault, repeats, kind } = call;
  const isAnswerer = i === answerer && summary.status !== undefined;
  const failed = ending === "threw" || ending === "rejected";
  const tags = [
    isAnswerer &&
      h("span", { class: `tag answer ${statusClass(summary.status)}` }, `answered ${summary.status}`),
    failed && h("span", { class: "tag bad" }, `${ending} ${fault?.type ?? ""}`),
    ending === "passed an error" &&
      isOwn(kind) &&
      h("span", { class: "tag bad" }, `next(${fault?.type ?? "error"})`),
    ending === "left the route" && h("span", { class: "tag" }, "left the route"),
    ending === "holds" && isOwn(kind) && !isAnswerer && h("span", { class: "tag warn" }, "did not finish"),
    repeats && h("span", { class: "tag warn" }, "called next() again"),
    isSlowest && h("span", { class: "tag slow" }, "slowest"),
  ];
  const className = [
    "layer",
    isAnswerer ? `is-answer ${statusClass(summary.status)}` : "",
    failed ? "is-failed" : "",
  ];
  return h(
    "div",
    { class: className.join(" "), title: titleOf(call) },
    h(
      "span",
      { class: "times down" },
      h("span", { class: "ms" }, `↓ ${duration(downMs + heldMs)}`),
      h("span", { class: "bars" }, bar("solid", downMs / longest), bar("waits", heldMs / longest)),
    ),
    h("span", { class: "who" }, nameOf(call, calls), h("span", { class: "tags" }, tags)),
    h(
      "span",
      { class: "times up" },
      h("span", { class: "ms" }, upMs === 0 ? "" : `${duration(upMs)} ↑`),
      h("span", { class: "bars" }, bar("solid", upMs / longest)),
    ),
  );
}

/** What is no mere frame around other layers. */
function isOwn(kind: Call["kind"]): boolean {
  return kind === "middleware" || kind === "error handler";
}

function nameOf({ kind, name, path, parent }: Call, calls: readonly Call[]): HTMLElement {
  const at = path === "/" || path === "" ? undefined : h("span", { class: "at" }, path);
  if (parent === -1) return h("span", { class: "name" }, "app");
  if (kind === "route") return h("span", { class: "name" }, `route ${name}`, at);
  if (kind === "router" || kind === "app") return h("span", { class: "name" }, kind, at);
  return h(
    "span",
    { class: "name" },
    name || (calls[parent]?.kind === "route" ? "handler" : "(unnamed function)"),
    kind === "error handler" && h("small", {}, " error handler"),
  );
}

function titleOf({ name, path, downMs, heldMs, upMs, startMs }: Call): string {
  return `${name || "(unnamed function)"} at ${path || "/"}: ran ${duration(downMs)} on the way in, waited ${duration(heldMs)}, ran ${duration(upMs)} on the way back; called after ${duration(startMs)}`;
}

function bar(kind: string, share: number): HTMLElement {
  return withShare(h("i", { class: `bar ${kind}` }), "--share", Math.min(1, share));
}
