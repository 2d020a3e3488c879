import type { Server } from "node:net";
import { isApp } from "../../../src/lib/express/app.js";
import { peek } from "../../../src/lib/values/thrown.js";
import { ClosureReader } from "../closure.js";

/** What a module does while it is imported: it tries to listen, and makes apps. */
export interface Watch {
  /** Settles when a server is told to listen, which it does not do. */
  readonly listened: Promise<"listened">;
  readonly servers: readonly Server[];
  readonly created: readonly unknown[];
}

/** Every server of Node's listens by this one method. It stays so: the command ends before the app could be served. */
export function watchListening(file: string): Watch {
  const { Server } = process.getBuiltinModule("node:net");
  const servers: Server[] = [];
  let tell: (what: "listened") => void = () => {};
  const listened = new Promise<"listened">((resolve) => {
    tell = resolve;
  });
  Server.prototype.listen = function held(this: Server) {
    servers.push(this);
    tell("listened");
    return this;
  } as typeof Server.prototype.listen;
  return { listened, servers, created: watchCreated(file) };
}

/** The apps of the Express that the file finds, also those that it keeps to itself. */
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
    // It has no Express beside it, or one that is loaded in another way: what it exports, or serves, is all there is.
  }
  return created;
}

/** What a listener that is not the app itself may keep it under. */
const NAMES = ["app", "expressApp", "handler", "application", "server", "listener"];

/** The app that a server hands its requests to. */
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
  const closures = new ClosureReader();
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

/** Whether it is `serve` that listens: it makes a rejection the error of its request. */
export function isServed({ servers }: Watch): boolean {
  const ours = (globalThis as Record<symbol, unknown>)[Symbol.for("express-portico/closing/1")];
  return ours instanceof WeakMap && servers.some((server) => ours.has(server));
}
