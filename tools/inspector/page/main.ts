import "./style/base.css";
import "./style/top.css";
import "./style/list.css";
import "./style/detail.css";
import "./style/onion.css";
import type { Detail, Sample, Summary } from "../report.js";
import { addSample, setSamples, toggleCharts, watchCharts } from "./charts.js";
import { contractOf, curlOf } from "./copy.js";
import { showDetail, showNote } from "./detail.js";
import { byId, h } from "./dom.js";
import { addRequests, mark, move, setPaused, setRequests, startList, summaryOf } from "./list.js";
import { showSlowest } from "./slowest.js";

let selected: number | undefined;
let shown: Detail | undefined;
let isPaused = false;

function connect(): void {
  const events = new EventSource("events");
  const on = (name: string, use: (data: never) => void) =>
    events.addEventListener(name, (event) => use(JSON.parse((event as MessageEvent<string>).data) as never));
  on("all", ({ requests, samples, keep }: { requests: Summary[]; samples: Sample[]; keep: number }) => {
    setState("live");
    setRequests(requests, keep);
    setSamples(samples);
    if (selected !== undefined) void load(selected);
  });
  on("requests", (summaries: Summary[]) => {
    addRequests(summaries);
    if (summaries.some(({ id }) => id === selected)) void load(selected!);
  });
  on("sample", addSample);
  on("closed", () => {
    events.close();
    setState("closed");
  });
  events.onerror = () => {
    if (events.readyState !== EventSource.CLOSED) setState("lost");
  };
}

const STATES = {
  live: "live",
  paused: "paused",
  lost: "connection lost, trying again",
  closed: "the inspector was closed",
};

function setState(name: keyof typeof STATES): void {
  const state = name === "live" && isPaused ? "paused" : name;
  byId("state").textContent = STATES[state];
  byId("state").dataset.state = state;
}

function select(id: number): void {
  selected = id;
  mark(id);
  void load(id);
}

function close(): void {
  selected = shown = undefined;
  mark(undefined);
  byId("detail").hidden = true;
  byId("main").classList.remove("has-detail");
  byId("list").focus({ preventScroll: true });
}

async function load(id: number): Promise<void> {
  const isNew = shown?.summary.id !== id;
  const detail = await fetchDetail(id);
  if (id !== selected) return;
  shown = detail;
  byId("detail").hidden = false;
  byId("main").classList.add("has-detail");
  if (detail !== undefined) showDetail(detail, close, copy);
  else
    showNote(
      summaryOf(id)?.status === undefined ? "This request is in flight." : "This request is no longer kept.",
      close,
    );
  if (isNew) byId("detail").scrollTop = 0;
}

async function fetchDetail(id: number): Promise<Detail | undefined> {
  if (summaryOf(id)?.status === undefined) return undefined;
  try {
    const response = await fetch(`requests/${id}`);
    return response.ok ? ((await response.json()) as Detail) : undefined;
  } catch {
    return undefined; // the server is gone: the state says so
  }
}

function copy(text: string, what: string): void {
  const done = () => toast(`Copied: ${what}`);
  navigator.clipboard.writeText(text).then(done, () => toast("The browser does not allow copying here."));
}

let toastTimer: number | undefined;

function toast(text: string): void {
  const element = byId("toast");
  element.textContent = text;
  element.classList.add("is-shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => element.classList.remove("is-shown"), 2_000) as unknown as number;
}

function togglePause(): void {
  isPaused = !isPaused;
  setPaused(isPaused);
  byId("pause").setAttribute("aria-pressed", String(isPaused));
  byId("pause").textContent = isPaused ? "Go on" : "Pause";
  setState("live");
}

const KEYS: Readonly<Record<string, { readonly does: string; readonly run: () => void }>> = {
  j: { does: "the next older request", run: () => move(1) },
  k: { does: "the next newer request", run: () => move(-1) },
  "/": { does: "to the filter", run: () => byId("text").focus() },
  p: { does: "pause, or go on", run: togglePause },
  s: { does: "to the slowest layer of the request", run: showSlowest },
  g: { does: "charts, or only their figures", run: toggleCharts },
  c: { does: "copy as curl", run: () => shown && copy(curlOf(shown), "curl command") },
  t: { does: "copy as contract case", run: () => shown && copyContract(shown) },
  Escape: { does: "close the request", run: close },
  "?": { does: "these keys", run: () => byId<HTMLDialogElement>("help").showModal() },
};
const SAME: Readonly<Record<string, string>> = { ArrowDown: "j", ArrowUp: "k" };

function copyContract(detail: Detail): void {
  const text = contractOf(detail);
  if (text === undefined) toast("No expectation of contract is about this answer.");
  else copy(text, "contract case");
}

function watchKeys(): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || byId<HTMLDialogElement>("help").open) return;
    if (target.matches("input, select")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key.startsWith("Arrow") && target.closest("#detail") !== null) return; // scrolls
    const key = KEYS[SAME[event.key] ?? event.key];
    if (key === undefined) return;
    event.preventDefault();
    key.run();
  });
}

function startHelp(): void {
  const dialog = byId<HTMLDialogElement>("help");
  const rows = Object.entries(KEYS).map(([key, { does }]) =>
    h("tr", {}, h("th", {}, h("kbd", {}, key)), h("td", {}, does)),
  );
  dialog.append(
    h("h2", {}, "Keys"),
    h("table", {}, h("tbody", {}, rows)),
    h("button", { type: "button", onclick: () => dialog.close() }, "Close"),
  );
  byId("help-button").addEventListener("click", () => dialog.showModal());
}

startList(select);
startHelp();
watchKeys();
watchCharts();
byId("pause").addEventListener("click", togglePause);
byId("charts-button").addEventListener("click", toggleCharts);
connect();
