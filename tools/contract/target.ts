import http from "node:http";
import type { AddressInfo } from "node:net";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { hrefOf, urlOf } from "../../src/lib/http/target.js";
import { describeThrown, disregard, isThenable } from "../../src/lib/values/thrown.js";
import type { Place } from "./client.js";

/** A listener for the requests of a Node server, such as an Express app. */
export type App = (req: http.IncomingMessage, res: http.ServerResponse) => unknown;

/** An app, or the URL of one that listens. */
type Made = App | URL | string;

/**
 * An app, or the URL of one that listens; a promise of it; or a function without parameters that makes it. The function is
 * called once, when the first case runs.
 */
export type AppSource = Made | PromiseLike<Made> | (() => Made | PromiseLike<Made>);

/** Calls `use` with the place where the app listens. Closes the server that it started for that. */
export type Target = <T>(use: (place: Place) => Promise<T>) => Promise<T>;

export function targetOf(source: AppSource, ca: string | undefined): Target {
  if (!isThenable(source) && !isFactory(source)) return targetOfMade(source as Made, ca);
  disregard(source); // each case reports a rejection
  let made: Promise<Target> | undefined;
  return async (use) => {
    made ??= make(source).then((target) => targetOfMade(target, ca));
    return (await made)(use);
  };
}

/** Express apps and handlers have parameters. */
function isFactory(source: unknown): source is () => Made | PromiseLike<Made> {
  return typeof source === "function" && source.length === 0 && !("handle" in source);
}

async function make(source: PromiseLike<Made> | (() => Made | PromiseLike<Made>)): Promise<Made> {
  try {
    return await (typeof source === "function" ? source() : source);
  } catch (error) {
    throw new Error(`contract(): the app could not be made: ${describeThrown(error).message}`, {
      cause: error,
    });
  }
}

function targetOfMade(target: Made, ca: string | undefined): Target {
  if (typeof target === "function") return (use) => withServer(target, use);
  const place = placeOf(target, ca);
  if (place !== undefined) return (use) => use(place);
  const reason =
    'must be an Express app, or the URL of one that listens: "http://localhost:8080"; or a promise of it, or a function that makes it';
  throw new ConfigError("contract()", [{ option: "app", value: target, reason }]);
}

function placeOf(target: unknown, ca: string | undefined): Place | undefined {
  const text = hrefOf(target);
  const url = text === undefined ? undefined : urlOf(text);
  if (url === undefined) return undefined;
  const { protocol, hostname, port, pathname } = url;
  if (protocol !== "http:" && protocol !== "https:") return undefined;
  const isSecure = protocol === "https:";
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? (isSecure ? 443 : 80) : Number(port),
    prefix: pathname.replace(/\/$/, ""),
    isSecure,
    ca,
  };
}

async function withServer<T>(app: App, use: (place: Place) => Promise<T>): Promise<T> {
  let requests = 0;
  const server = http.createServer((req, res) => {
    requests++;
    void app(req, res);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  try {
    return await use({
      host: "127.0.0.1",
      port,
      prefix: "",
      isSecure: false,
      ca: undefined,
      requestCount: () => requests,
    });
  } finally {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
}
