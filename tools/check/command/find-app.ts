import type { Server } from "node:net";
import { isApp, isRouter } from "../../../src/lib/express/app.js";
import { isThenable, peek } from "../../../src/lib/values/thrown.js";
import { parametersOf, sourceOf } from "../source.js";
import { InspectorReader } from "../variables.js";

export interface Factory {
  readonly name: string;
  readonly make: () => unknown;
}

/**
 * The exports of a module, those with an app's usual names first. Those of CommonJS are in `default`; those of a transpiled
 * module in `default.default`.
 */
function valuesOf(loaded: unknown): [name: string, value: unknown][] {
  const outer = peek(loaded, "default");
  const named: [string, unknown][] = [
    ["default", outer],
    ["app", peek(loaded, "app")],
    ["default", peek(outer, "default")],
    ["app", peek(outer, "app")],
  ];
  const entries = (bag: unknown): [string, unknown][] =>
    typeof bag === "object" && bag !== null ? Object.keys(bag).map((name) => [name, peek(bag, name)]) : [];
  const all = [...named, ...entries(loaded), ...entries(outer), ...entries(peek(outer, "default"))];
  return all.filter(
    ([name, value], i) =>
      value !== undefined &&
      name !== "module.exports" &&
      name !== "__esModule" &&
      all.findIndex(([, other]) => other === value) === i,
  );
}

/** The app among the exports of a module, or inside one of them. Promises are waited for. */
export async function exportedApp(loaded: unknown, waitMs: number): Promise<unknown> {
  const values = valuesOf(loaded);
  const direct = values.find(([, value]) => isApp(value));
  if (direct !== undefined) return direct[1];
  for (const [, value] of values) {
    const found = appWithin(isThenable(value) ? await settled(value, waitMs) : value);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The app that a value is or has: an app, a server, or an object such as `{ app }`, `new Api()` or the result of `serve`. */
export function appWithin(value: unknown): unknown {
  if (isApp(value)) return value;
  if (typeof value !== "object" || value === null) return undefined;
  const held = ["app", "express", "expressApp", "server", "httpServer", "instance"].map((name) =>
    peek(value, name),
  );
  return held.find(isApp) ?? [value, ...held].map(appOfServer).find((app) => app !== undefined);
}

/** The functions that may make the app: the default export, and those with such a name. */
export function factoriesOf(loaded: unknown): Factory[] {
  return valuesOf(loaded)
    .filter(([name, value]) => isFactory(name, value))
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([exported, value]) => {
      const make = value as () => unknown;
      return { name: (exported === "default" && make.name) || exported, make: () => make() };
    });
}

const MAKING = /app(?!e)|server|^(?:main|start|run|bootstrap|init|create|build|make|setup)$/i;
const NOT_MAKING =
  /^(?:close|stop|shut|kill|destroy|end|is|has|on|use|with|register|mount|add|handle|reset)/i;

function isFactory(name: string, value: unknown): boolean {
  if (typeof value !== "function" || isApp(value) || isRouter(value)) return false;
  const source = sourceOf(value);
  if (source === "" || /^class\b/.test(source)) return false;
  if (name !== "default" && (!MAKING.test(name) || NOT_MAKING.test(name))) return false;
  const [first = ""] = parametersOf(value) ?? [];
  return !/^_*(?:req|request|err|error|event|ctx|context)$/i.test(first); // it is a handler
}

function rank(name: string): number {
  if (name === "default") return 0;
  return /app/i.test(name) ? 1 : /server/i.test(name) ? 2 : 3;
}

/** The names of the exports, for messages. */
export function namesOf(loaded: unknown): string {
  const outer = peek(loaded, "default");
  const bag = typeof outer === "object" && outer !== null ? { ...outer, ...(loaded as object) } : loaded;
  const names = Object.keys(bag as object).filter(
    (name) => name !== "module.exports" && name !== "__esModule" && (name !== "default" || bag === loaded),
  );
  return names.length === 0 ? "nothing" : names.join(", ");
}

export function hasRouter(loaded: unknown): boolean {
  return valuesOf(loaded).some(([, value]) => isRouter(value));
}

/** The value of a promise, or undefined if it comes too late. A rejection is thrown. */
export async function settled(value: PromiseLike<unknown>, waitMs: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, waitMs, undefined);
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a module did while it was imported. */
export interface Watch {
  /** Resolves when the module calls `listen` on a server. The server does not listen. */
  readonly listened: Promise<"listened">;
  readonly servers: readonly Server[];
  /** The hosts that they would listen on; undefined for all addresses. */
  readonly hosts: readonly (string | undefined)[];
  readonly created: readonly unknown[];
}

/** Replaces `net.Server.prototype.listen`, which all servers of Node use. It is not restored: the command ends. */
export function watchListening(file: string): Watch {
  const { Server } = process.getBuiltinModule("node:net");
  const servers: Server[] = [];
  const hosts: (string | undefined)[] = [];
  let tell: (what: "listened") => void = () => {};
  const listened = new Promise<"listened">((resolve) => {
    tell = resolve;
  });
  Server.prototype.listen = function held(this: Server, ...given: unknown[]) {
    servers.push(this);
    hosts.push(hostOf(given));
    tell("listened");
    return this;
  } as typeof Server.prototype.listen;
  return { listened, servers, hosts, created: watchCreated(file) };
}

/** The host in the arguments of `listen`: `(port, host)`, or `({ port, host })`. */
function hostOf([first, second]: readonly unknown[]): string | undefined {
  const host = typeof first === "object" ? peek(first, "host") : second;
  return typeof host === "string" ? host : undefined;
}

/** Whether all servers listen on loopback only. */
export function isLocal({ hosts }: Watch): boolean {
  return hosts.length > 0 && hosts.every((host) => /^(?:localhost|127(?:\.\d+){3}|::1)$/.test(host ?? ""));
}

/** Records the apps that the Express of this file creates, exported or not. */
function watchCreated(file: string): readonly unknown[] {
  const created: unknown[] = [];
  try {
    const express: unknown = process.getBuiltinModule("node:module").createRequire(file)("express");
    const application = peek(express, "application") as { init?: (...given: unknown[]) => unknown };
    const { init } = application;
    if (typeof init !== "function") return created;
    application.init = function recorded(this: unknown, ...given) {
      created.push(this);
      return init.apply(this, given);
    };
  } catch {
    // This file finds no Express: only exports and servers are known.
  }
  return created;
}

/** Usual names of the variable in which a listener keeps the app. */
const NAMES = ["app", "expressApp", "handler", "application", "server", "listener"];

/** The app that gets the requests of a server. */
export function appOfServer(server: unknown): unknown {
  const listeners = peek(server, "listeners");
  if (typeof listeners !== "function") return undefined;
  let all: unknown;
  try {
    all = listeners.call(server, "request");
  } catch {
    return undefined;
  }
  if (!Array.isArray(all)) return undefined;
  const direct = all.find(isApp);
  if (direct !== undefined) return direct;
  const closures = new InspectorReader();
  try {
    for (const listener of all) {
      const found = Object.values(closures.read(listener, NAMES) ?? {}).find(isApp);
      if (found !== undefined) return found;
    }
  } finally {
    closures.close();
  }
  return undefined;
}

/** Whether the server is one of `serve`, which turns rejections into errors of their requests. */
export function isServed({ servers }: Watch): boolean {
  const ours = (globalThis as Record<symbol, unknown>)[Symbol.for("express-portico/closing/2")];
  return ours instanceof WeakMap && servers.some((server) => ours.has(server));
}
