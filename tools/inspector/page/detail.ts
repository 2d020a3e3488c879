import type { Call, Detail, Fault, Header } from "../report.js";
import { contractOf, curlOf } from "./copy.js";
import { byId, bytes, connectionText, duration, h, statusClass } from "./dom.js";
import { answererText, failureText } from "./names.js";
import { onion } from "./onion.js";
import { slowestButton } from "./slowest.js";

export function showDetail(
  detail: Detail,
  close: () => void,
  copy: (text: string, what: string) => void,
): void {
  const { summary, decisions, fault, record, reports } = detail;
  const contract = contractOf(detail);
  byId("detail").replaceChildren(
    h(
      "header",
      { class: "detail-head" },
      h("button", { type: "button", class: "close", "aria-label": "Close the request", onclick: close }, "×"),
      h(
        "h2",
        { tabindex: "-1" },
        h("span", { class: `status-big ${statusClass(summary.status)}` }, summary.status ?? "…"),
        h("span", { class: "title" }, `${summary.method} ${summary.path}`),
      ),
      h("p", { class: "facts" }, factsOf(detail)),
      slowestButton(detail),
      h(
        "p",
        { class: "actions" },
        h("button", { type: "button", onclick: () => copy(curlOf(detail), "curl command") }, "Copy as curl"),
        contract !== undefined &&
          h(
            "button",
            { type: "button", onclick: () => copy(contract, "contract case") },
            "Copy as contract case",
          ),
      ),
    ),
    h(
      "section",
      {},
      h("h3", {}, "Decisions"),
      decisions.length === 0
        ? h("p", { class: "note" }, "None: no middleware of express-portico had one to make.")
        : h(
            "ul",
            { class: "decisions" },
            decisions.map((decision) => decisionOf(decision, summary.status)),
          ),
    ),
    h("section", {}, h("h3", {}, "Layers"), onion(detail)),
    faultOf(fault),
    h("section", {}, h("h3", {}, "Response headers"), headersOf(detail)),
    h("section", {}, h("h3", {}, "Request headers"), requestOf(detail)),
    h(
      "section",
      { hidden: reports.length === 0 },
      h("h3", {}, "Violation reports"),
      h("pre", {}, JSON.stringify(reports, null, 2)),
    ),
    h(
      "section",
      {},
      h("h3", {}, "Log record"),
      record === undefined
        ? h("p", { class: "note" }, "None: no requestLog has written one for this request.")
        : h("pre", {}, JSON.stringify(record, null, 2)),
    ),
  );
}

export function showNote(text: string, close: () => void): void {
  byId("detail").replaceChildren(
    h(
      "header",
      { class: "detail-head" },
      h("button", { type: "button", class: "close", "aria-label": "Close the request", onclick: close }, "×"),
      h("h2", { tabindex: "-1" }, text),
    ),
  );
}

function factsOf(detail: Detail): HTMLElement[] {
  const { summary, bytes: size, httpVersion, remoteAddress, host } = detail;
  const { failure, route, path, status } = summary;
  const facts: [string, string | undefined][] = [
    ["answered by", status === undefined ? undefined : answererText(summary)],
    ["time", summary.totalMs === undefined ? undefined : duration(summary.totalMs)],
    ["connection", connectionText(summary)],
    ["route", route === path ? undefined : route],
    ["query", summary.query],
  ];
  const others: typeof facts = [
    ["body", size === undefined ? undefined : bytes(size)],
    ["host", host],
    ["from", remoteAddress],
    ["HTTP", httpVersion],
    ["at", new Date(summary.time).toLocaleTimeString()],
  ];
  const shown = (list: typeof facts, tag: "b" | "span") =>
    list.flatMap(([name, value]) =>
      value === undefined ? [] : [h("span", { class: "fact" }, h("small", {}, name), h(tag, {}, value))],
    );
  return [
    ...(failure === undefined ? [] : [h("span", { class: "failure" }, failureText(failure))]),
    ...shown(facts, "b"),
    ...shown(others, "span"),
  ];
}

const VERDICTS = {
  refused: "refused",
  allowed: "ok",
  note: "",
  failed: "failed",
  cache: "",
  unexplained: "",
};

function decisionOf(
  { about, verdict, word = VERDICTS[verdict], text, place }: Detail["decisions"][number],
  status: number | undefined,
): HTMLElement {
  return h(
    "li",
    { class: `decision ${verdict} ${statusClass(status)}` },
    h("span", { class: "about" }, about, word !== "" && h("span", { class: "verdict" }, word)),
    h("span", {}, text, place !== undefined && h("code", { class: "source" }, `at ${place}`)),
  );
}

function faultOf(fault: Fault | undefined): HTMLElement {
  if (fault === undefined) return h("section", { hidden: true });
  return h(
    "section",
    {},
    h("h3", {}, "Error"),
    h("pre", { class: "fault" }, fault.stack ?? `${fault.type}: ${fault.message}`),
  );
}

function headersOf({ responseHeaders, calls }: Detail): HTMLElement {
  if (responseHeaders.length === 0) return h("p", { class: "note" }, "No head was sent.");
  const rows = responseHeaders.map((header) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, header.name),
      h("td", {}, header.value),
      h("td", { class: "set-by" }, setBy(header, calls)),
    ),
  );
  const head = ["name", "value", "set by"].map((name) => h("th", { scope: "col" }, name));
  return h("table", { class: "headers" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
}

function setBy({ setBy }: Header, calls: readonly Call[]): string {
  if (setBy.length === 0) return "Node";
  return setBy.map((index) => shortName(calls[index], index)).join(", then ");
}

function shortName(call: Call | undefined, index: number): string {
  if (index <= 0 || call === undefined) return "Express";
  return call.name || "handler";
}

function requestOf({ requestHeaders }: Detail): HTMLElement {
  const rows = requestHeaders.map(({ name, value, hidden }) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: hidden ? "is-hidden" : undefined }, value)),
  );
  return h("table", { class: "headers" }, h("tbody", {}, rows));
}
