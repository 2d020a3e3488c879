import type { IncomingMessage } from "node:http";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { hostOf } from "../lib/http/host.js";
import { stateOf } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { answerProblem } from "../lib/response/send-problem.js";
import { type AllowedHostsReason, decide } from "./decide.js";
import { type AllowedHostsOptions, checkOptions } from "./options.js";

export type { AllowedHostsReason } from "./decide.js";
export type { AllowedHostsOptions } from "./options.js";

/**
 * Refuses requests for hosts that are not the app's: DNS rebinding, and forged `Host` headers in links, caches and
 * redirects. 400 for a missing, malformed or repeated host, 421 for one that is not in the list.
 *
 * Mount it right after context and log, before everything that reads a body or trusts the host. Behind a proxy, set
 * `trust proxy`: then the host is that of `X-Forwarded-Host`, as in `req.host`.
 *
 * @param hosts names, `*.example.com` (one or more labels before it, not example.com itself), addresses (`[::1]`); with a
 *   port if only that port is meant
 *
 * @example
 * app.use(allowedHosts(["api.example.com", "*.shop.example"]));
 *
 * @example
 * app.use(allowedHosts(["localhost", "127.0.0.1", "[::1]"])); // a server on loopback: no page of another site reaches it
 *
 * @throws {ConfigError} lists all problems of the hosts and the options
 * @see docs/allowed-hosts.md
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20 and https://www.rfc-editor.org/rfc/rfc9112#section-3.2
 */
export function allowedHosts(hosts: string | readonly string[], options?: AllowedHostsOptions): Handler {
  const { list, onReject, explain } = checkOptions(hosts, options);
  return describeHandler(
    function allowedHosts(req, res, next) {
      adopt(req, res);
      const reason = decide(req, list);
      if (reason === undefined) return next();
      stateOf(req).refused = { by: "allowedHosts", reason };
      onReject?.(reason, req);
      const status = reason === "not-listed" ? 421 : 400;
      answerProblem(req, res, status, { detail: explain ? explanation(reason, req) : DETAILS[reason] });
    },
    { concern: "allowedHosts", hosts: [...list.names.keys(), ...list.suffixes.keys()] },
  );
}

const DETAILS: Readonly<Record<AllowedHostsReason, string>> = {
  missing: "The request names no host.",
  malformed: "The request's host is malformed.",
  repeated: "The request names its host more than once.",
  "not-listed": "This server does not answer for that host.",
};

function explanation(reason: AllowedHostsReason, req: IncomingMessage): string {
  if (reason !== "not-listed") return DETAILS[reason];
  return `${DETAILS[reason]} It is ${JSON.stringify(hostOf(req)?.slice(0, 260))}: if it is the app's own, add it to allowedHosts; if a proxy changes it, set "trust proxy".`;
}
