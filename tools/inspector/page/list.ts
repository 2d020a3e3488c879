import type { Summary } from "../report.js";
import { byId, connectionText, duration, h, statusClass } from "./dom.js";
import { failureText, shortName } from "./names.js";

/** More are kept, and shown when the filter leaves fewer. */
const MAX_ROWS = 400;
const STATUSES = ["2xx", "3xx", "4xx", "5xx", "in flight"];

const rows = new Map<number, { readonly summary: Summary; readonly row: HTMLElement }>();
const chosen = new Set<string>();
let keep = 200;
let selected: number | undefined;
let isPaused = false;
let select: (id: number) => void;

export function startList(onSelect: (id: number) => void): void {
  select = onSelect;
  const chips = byId("statuses");
  for (const name of STATUSES) {
    const chip = h("button", { type: "button", class: "chip", "aria-pressed": "false" }, name);
    chip.addEventListener("click", () => {
      if (!chosen.delete(name)) chosen.add(name);
      chip.setAttribute("aria-pressed", String(chosen.has(name)));
      render();
    });
    chips.append(chip);
  }
  byId("filters").addEventListener("input", render);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
}

export function setRequests(all: readonly Summary[], kept: number): void {
  keep = kept;
  rows.clear();
  addRequests(all);
  render();
}

export function addRequests(summaries: readonly Summary[]): void {
  for (const summary of summaries) rows.set(summary.id, { summary, row: rowOf(summary) });
  const ids = [...rows.keys()].sort((a, b) => a - b);
  for (const id of ids) {
    if (rows.size <= keep) break;
    if (rows.get(id)!.summary.status !== undefined) rows.delete(id);
  }
  addMethods(summaries);
  if (!isPaused) render();
}

export function setPaused(paused: boolean): void {
  isPaused = paused;
  if (!paused) render();
}

export function summaryOf(id: number): Summary | undefined {
  return rows.get(id)?.summary;
}

export function mark(id: number | undefined): void {
  if (selected !== undefined) rows.get(selected)?.row.setAttribute("aria-selected", "false");
  selected = id;
  const list = byId("list");
  const row = id === undefined ? undefined : rows.get(id)?.row;
  row?.setAttribute("aria-selected", "true");
  if (row === undefined) list.removeAttribute("aria-activedescendant");
  else list.setAttribute("aria-activedescendant", row.id);
}

/** Selects the next older (1) or newer (-1) request. */
export function move(step: 1 | -1): void {
  const shown = [...byId("list").children] as HTMLElement[];
  const at = shown.findIndex((row) => row.id === `r${selected}`);
  const row = shown[at === -1 ? 0 : Math.min(Math.max(at + step, 0), shown.length - 1)];
  if (row === undefined) return;
  select(Number(row.id.slice(1)));
  row.scrollIntoView({ block: "nearest" });
}

function addMethods(summaries: readonly Summary[]): void {
  const menu = byId<HTMLSelectElement>("method");
  const known = new Set([...menu.options].map(({ value }) => value));
  for (const { method } of summaries) {
    if (known.has(method) || known.size > 30) continue;
    known.add(method);
    menu.append(h("option", { value: method }, method));
  }
}

function render(): void {
  const words = byId<HTMLInputElement>("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const method = byId<HTMLSelectElement>("method").value;
  const shown = [...rows.values()]
    .filter(({ summary }) => matches(summary, words, method))
    .sort((a, b) => b.summary.id - a.summary.id)
    .slice(0, MAX_ROWS);
  byId("list").replaceChildren(...shown.map(({ row }) => row));
  const empty = byId("empty");
  empty.hidden = shown.length > 0;
  empty.textContent =
    rows.size === 0
      ? "No requests yet. Send one to the app, and it appears here."
      : "No request matches the filter.";
  mark(selected);
}

function matches(summary: Summary, words: readonly string[], method: string): boolean {
  const { status } = summary;
  const kind = status === undefined ? "in flight" : `${Math.floor(status / 100)}xx`;
  if (chosen.size > 0 && !chosen.has(kind)) return false;
  if (method !== "" && summary.method !== method) return false;
  const text = textOf(summary);
  return words.every((word) => text.includes(word));
}

function textOf(summary: Summary): string {
  const { method, path, query, route, status, answeredBy, failure, marks } = summary;
  const failed = failure && `${failure.name} ${failure.how} ${failureText(failure)}`;
  const parts = [method, path, query, route, status, answeredBy, failed, connectionText(summary)];
  parts.push(...marks.map(({ text }) => text));
  return parts.join(" ").toLowerCase();
}

/** Who failed is asked for first, and who answered then is mostly an error handler. */
function answererOf({ status, answeredBy, failure }: Summary): HTMLElement[] {
  if (status === undefined) return [];
  const who = shortName(answeredBy); // the row has the route already
  if (failure === undefined) return [h("span", { class: "who" }, who)];
  return [
    h("span", { class: "failure" }, failureText(failure)),
    h("span", { class: "after" }, `${who} answered`),
  ];
}

/** A row is one line, which may have no room for all. */
function titleOf({ path, query, route, answeredBy, failure, marks }: Summary): { what: string; who: string } {
  const target = `${path}${query === undefined ? "" : `?${query}`}`;
  const who = answeredBy ?? "nobody";
  const parts = failure === undefined ? [who] : [failureText(failure), `${who} answered`];
  return {
    what: route === undefined || route === path ? target : `${target}, route ${route}`,
    who: [...parts, ...marks.map(({ text }) => text)].join(", "),
  };
}

function rowOf(summary: Summary): HTMLElement {
  const { id, time, method, path, query, route, status, totalMs, outcome, openMs, marks } = summary;
  const isOther = route !== undefined && route !== path;
  const { what, who } = titleOf(summary);
  return h(
    "li",
    {
      id: `r${id}`,
      role: "option",
      class: `row ${statusClass(status)}`,
      "aria-selected": String(id === selected),
      title: new Date(time).toLocaleTimeString(),
      onclick: () => select(id),
    },
    h("span", { class: "method" }, method),
    h(
      "span",
      { class: "path", title: what },
      h("span", { class: "target" }, path, query !== undefined && h("span", { class: "query" }, `?${query}`)),
      isOther && h("span", { class: "route" }, route),
    ),
    h("span", { class: "status" }, status ?? "…"),
    h("span", { class: "time" }, totalMs === undefined ? "in flight" : duration(totalMs)),
    h(
      "span",
      {
        class: `by${summary.failure === undefined ? "" : " has-failure"}`,
        title: status === undefined ? undefined : who,
      },
      answererOf(summary),
      outcome === "upgraded" &&
        h("span", { class: `mark ${openMs === undefined ? "open" : ""}` }, connectionText(summary)),
      marks.map(({ kind, text }) => h("span", { class: `mark ${kind.replace(" ", "-")}` }, text)),
    ),
  );
}
