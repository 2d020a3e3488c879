import http from "node:http";
import type { AddressInfo } from "node:net";
import { ConfigError } from "../config/config-error.js";
import { hrefOf, urlOf } from "../config/href.js";
import type { Place } from "./connection.js";

/** What Node's server calls for each request: an Express app is one. */
export type App = (req: http.IncomingMessage, res: http.ServerResponse) => unknown;

/** Calls `use` with the place where the app listens; a server that was started for it is closed again. */
export type Target = <T>(use: (place: Place) => Promise<T>) => Promise<T>;

export function targetOf(target: App | URL | string, ca: string | undefined): Target {
  if (typeof target === "function") return (use) => withServer(target, use);
  const place = placeOf(target, ca);
  if (place !== undefined) return (use) => use(place);
  throw new ConfigError("contract()", [
    {
      option: "app",
      value: target,
      reason: 'must be an Express app, or the URL of one that listens: "http://localhost:8080"',
    },
  ]);
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
  const server = http.createServer((req, res) => void app(req, res));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  try {
    return await use({ host: "127.0.0.1", port, prefix: "", isSecure: false, ca: undefined });
  } finally {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
}
