import type { Server } from "node:net";
import { isApp } from "../../../src/lib/express/app.js";
import { peek } from "../../../src/lib/values/thrown.js";
import { ClosureReader } from "../closure.js";

/** What a module did while it was imported. */
export interface Watch {
  /** Resolves when the module calls `listen` on a server. The server does not listen. */
  readonly listened: Promise<"listened">;
  readonly servers: readonly Server[];
  readonly created: readonly unknown[];
}

/** Replaces `net.Server.prototype.listen`, which all servers of Node use. It is not restored: the command ends. */
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

/** Whether the server is one of `serve`, which turns rejections into errors of their requests. */
export function isServed({ servers }: Watch): boolean {
  const ours = (globalThis as Record<symbol, unknown>)[Symbol.for("express-portico/closing/1")];
  return ours instanceof WeakMap && servers.some((server) => ours.has(server));
}
