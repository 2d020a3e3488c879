import type { IncomingMessage } from "node:http";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { hostOf } from "../lib/http/host.js";
import { stateOf } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { answerProblem } from "../lib/response/send-problem.js";
import { type CsrfReason, decide } from "./decide.js";
import { type CsrfOptions, checkOptions } from "./options.js";

export type { CsrfReason } from "./decide.js";
export type { CsrfOptions } from "./options.js";

/**
 * Refuses requests that a browser sends from another site and that could change something (cross-site request forgery),
 * by the headers `Sec-Fetch-Site` and `Origin`: no token, no cookie, nothing stored. It is the algorithm of Go's
 * `http.CrossOriginProtection`. Requests without these headers are not from a browser, and pass.
 *
 * Mount it after `cors` and `cspReports`, before body parsers. To exempt routes, mount them above it or use `unless`.
 * Behind a proxy, set `trust proxy`. WebSocket handshakes are GETs and are not covered.
 *
 * @example
 * app.use(csrf());
 *
 * @example
 * app.use(csrf({ trustedOrigins: ["https://admin.example"], onReject: (reason) => refusals.inc({ reason }) }));
 *
 * @throws {ConfigError} lists all problems of the options
 * @see docs/csrf.md
 * @see https://fetch.spec.whatwg.org/#origin-header and https://w3c.github.io/webappsec-fetch-metadata/
 */
export function csrf(options?: CsrfOptions): Handler {
  const { trustedOrigins, reportOnly, onReject, explain } = checkOptions(options);
  return describeHandler(
    function csrf(req, res, next) {
      adopt(req, res);
      const reason = decide(req, trustedOrigins);
      if (reason === undefined) return next();
      onReject?.(reason, req);
      if (reportOnly) return next();
      stateOf(req).refused = { by: "csrf", reason };
      answerProblem(req, res, 403, { detail: explain ? explanation(reason, req) : REFUSED });
    },
    { concern: "csrf", reportOnly },
  );
}

const REFUSED = "This request may not be sent from another site.";

function explanation(reason: CsrfReason, req: IncomingMessage): string {
  const { headers } = req;
  const value = JSON.stringify(reason === "sec-fetch-site" ? headers["sec-fetch-site"] : headers.origin);
  const cause = {
    "sec-fetch-site": `Sec-Fetch-Site is ${value}`,
    "origin-null": "Origin is null: a sandboxed frame, a file, or a redirect across sites",
    origin: `Origin is ${value}, and the request's host is ${JSON.stringify(hostOf(req))}`,
  }[reason];
  const remedy =
    reason === "origin" ? 'If both are this app, a proxy changes the host: set "trust proxy". ' : "";
  return `${REFUSED} ${cause}. ${remedy}To allow a site, name its origin in trustedOrigins of csrf.`;
}
