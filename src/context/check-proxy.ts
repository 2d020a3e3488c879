import type { Request } from "express";
import { trustProxyOf } from "../lib/express/app.js";
import { warnOnce } from "../lib/log/callback-faults.js";

const REMEDY =
  'Write the number of proxies in front of this server, app.set("trust proxy", 1), or their addresses';

/**
 * Warns, once in a process, if the app's `trust proxy` does not fit what arrives. Returns whether there is nothing more to
 * look for.
 */
export function checkProxy(req: Request): boolean {
  const trust = trustProxyOf(req.app);
  if (trust === "set") return true;
  if (trust === "all") {
    warnOnce(
      "PORTICO_TRUST_PROXY_ALL",
      '"trust proxy" is true: every client can choose its req.ip, req.host and req.protocol by headers that it sends itself. ' +
        `${REMEDY}. See docs/proxies.md.`,
    );
    return true;
  }
  const { headers } = req;
  const name = "x-forwarded-for" in headers ? "X-Forwarded-For" : "Forwarded";
  if (!(name.toLowerCase() in headers)) return false;
  const hint = name === "Forwarded" ? " (Express reads X-Forwarded-For, not Forwarded)" : "";
  warnOnce(
    "PORTICO_TRUST_PROXY_UNSET",
    `a request has ${name}, and "trust proxy" is not set: if a proxy sent it, req.ip is the proxy's address for every ` +
      "client, and req.protocol and req.host are not those that the client used. " +
      `${REMEDY}${hint}; or false if there is no proxy. See docs/proxies.md.`,
  );
  return true;
}
