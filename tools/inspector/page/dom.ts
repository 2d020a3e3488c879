import type { Summary } from "../report.js";

type Child = Node | string | number | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | undefined | ((event: Event) => void)>>;

/** Makes an element. Functions are listeners: `onclick`. Texts are never read as HTML. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Child | readonly Child[])[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  for (const child of children.flat() as Child[]) {
    if (child !== undefined && child !== false) element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

export function byId<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Sets a custom property: the page's policy allows no style attributes. */
export function withShare<T extends HTMLElement>(element: T, name: string, value: number): T {
  element.style.setProperty(name, String(value));
  return element;
}

/** `0.07 ms`, `12.9 ms`, `1.23 s`. */
export function duration(ms: number): string {
  if (ms >= 600_000) return `${(ms / 60_000).toFixed(0)} min`;
  if (ms >= 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(2)} s`;
  if (ms >= 100) return `${ms.toFixed(0)} ms`;
  return ms >= 10 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(2)} ms`;
}

/** Of a connection that has switched to another protocol: whether it is open, and how long it was. */
export function connectionText({ outcome, openMs }: Summary): string | undefined {
  if (outcome !== "upgraded") return undefined;
  return openMs === undefined ? "open" : `closed after ${duration(openMs)}`;
}

export function bytes(count: number): string {
  if (count < 1_000) return `${count} B`;
  return count < 1_000_000 ? `${(count / 1_000).toFixed(1)} kB` : `${(count / 1_000_000).toFixed(1)} MB`;
}

/** The class of a status, for colours: `s2` to `s5`. */
export function statusClass(status: number | undefined): string {
  return status === undefined ? "s0" : `s${Math.floor(status / 100)}`;
}
