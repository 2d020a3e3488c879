import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { isApp } from "../../src/lib/express/app.js";
import { membersOf } from "../../src/lib/express/handler.js";
import { peek } from "../../src/lib/values/thrown.js";
import type { Upgrade } from "./upgrade.js";

/** Node publishes each new connection of a server here, before its first bytes are read. */
const CONNECTIONS = "net.server.socket";
/** Of a server that is not known to serve the app, more upgrades are forgotten, the oldest first. */
const MAX_WAITING = 20;

export interface UpgradeWatcher {
  /** Undefined if it is not recorded. */
  upgrade(req: IncomingMessage, socket: Duplex, listeners: number): Upgrade | undefined;
  show(upgrade: Upgrade): void;
}

type Emit = (this: EventEmitter, name: string | symbol, ...args: unknown[]) => boolean;

interface Watched {
  servesApp: boolean;
  /** Upgrades that came before it was known whether the server serves the app. */
  waiting: Upgrade[];
  readonly restore: () => void;
}

/** The servers of the pages. */
const pages = new WeakSet<object>();

export function noteOwnServer(server: object): void {
  pages.add(server);
}

/**
 * Watches the 'upgrade' event of the servers that serve an app. It patches `emit`: with a listener, Node would no longer pass
 * upgrade requests to the app, nor end their connections, where there is no other one. A server that another function
 * serves the app with (socket.io replaces the listeners of 'request') is known by the first request that comes to the app.
 */
export class Servers {
  readonly #watched = new Map<EventEmitter, Watched>();
  readonly #seen = new WeakSet<IncomingMessage>();
  readonly #onConnection = (message: unknown) => {
    const server = peek(peek(message, "socket"), "server");
    if (isHttpServer(server) && !this.#servesOther(server)) this.#watch(server);
  };

  constructor(
    private readonly app: object,
    private readonly watcher: UpgradeWatcher,
  ) {
    subscribe(CONNECTIONS, this.#onConnection);
  }

  close(): void {
    unsubscribe(CONNECTIONS, this.#onConnection);
    for (const { restore, waiting } of this.#watched.values()) {
      restore();
      for (const upgrade of waiting) upgrade.stop();
    }
    this.#watched.clear();
  }

  /** The app has got this request. */
  passed(req: IncomingMessage): void {
    const server = peek(req.socket, "server");
    if (!isHttpServer(server)) return;
    const watched = this.#watch(server);
    if (watched.servesApp) return;
    watched.servesApp = true;
    for (const upgrade of watched.waiting.splice(0)) this.watcher.show(upgrade);
  }

  #watch(server: EventEmitter): Watched {
    const known = this.#watched.get(server);
    if (known !== undefined) return known;
    const servers = this;
    const emit = server.emit as Emit;
    const own = Object.getOwnPropertyDescriptor(server, "emit");
    const emitWatched: Emit = function (name, ...args) {
      if (name === "close") servers.#forget(server);
      if (name !== "upgrade" || !servers.#watched.has(server)) return emit.call(this, name, ...args);
      return servers.#upgrade(server, args, () => emit.call(this, name, ...args));
    };
    Object.defineProperty(server, "emit", { value: emitWatched, configurable: true, writable: true });
    const restore = () => {
      // Other code that has patched it since keeps it: then it only passes on.
      if (server.emit !== emitWatched) return;
      if (own === undefined) delete (server as Partial<EventEmitter>).emit;
      else Object.defineProperty(server, "emit", own);
    };
    const watched: Watched = { servesApp: false, waiting: [], restore };
    this.#watched.set(server, watched);
    return watched;
  }

  /** It has closed. Its upgrades that are not shown yet never will be. */
  #forget(server: EventEmitter): void {
    const watched = this.#watched.get(server);
    this.#watched.delete(server);
    watched?.restore();
    for (const upgrade of watched?.waiting ?? []) upgrade.stop();
  }

  #upgrade(server: EventEmitter, args: unknown[], emit: () => boolean): boolean {
    const [req, socket] = args as [IncomingMessage, Duplex];
    const watched = this.#watched.get(server)!;
    if (this.#seen.has(req)) return emit(); // a listener has emitted it again
    this.#seen.add(req);
    const upgrade = this.watcher.upgrade(req, socket, server.listenerCount("upgrade"));
    if (upgrade === undefined) return emit();
    if (this.#servesApp(server, watched)) this.watcher.show(upgrade);
    else {
      watched.waiting.push(upgrade);
      if (watched.waiting.length > MAX_WAITING) watched.waiting.shift()!.stop();
    }
    return upgrade.run(emit);
  }

  /** A server that is the only one so far is taken for the app's. */
  #servesApp(server: EventEmitter, watched: Watched): boolean {
    if (!watched.servesApp) {
      watched.servesApp = server
        .listeners("request")
        .some((listener) => listener === this.app || membersOf(listener)?.includes(this.app) === true);
    }
    return watched.servesApp || this.#watched.size === 1;
  }

  /** Another app may have this one in it: then a request shows it. */
  #servesOther(server: EventEmitter): boolean {
    const apps = server.listeners("request").flatMap((listener) => membersOf(listener) ?? [listener]);
    return !apps.includes(this.app) && apps.some(isApp);
  }
}

/** Of HTTP/1 or HTTP/2, and not a page of an inspector. */
function isHttpServer(server: unknown): server is EventEmitter {
  if (typeof server !== "object" || server === null || pages.has(server)) return false;
  const { emit, listenerCount } = server as Partial<EventEmitter>;
  if (typeof emit !== "function" || typeof listenerCount !== "function") return false;
  return (server as EventEmitter).listenerCount("request") > 0;
}
