import { refuseRequest } from "./lib/config/not-called.js";
import { describeHandler, type Handler } from "./lib/express/handler.js";
import { pathOf } from "./lib/http/target.js";
import { adopt } from "./lib/request/transport.js";
import { answerProblem } from "./lib/response/send-problem.js";

/**
 * Answers 404 to requests that no route has answered, in the same form as `recover`.
 *
 * Goes after the router and before `recover`.
 *
 * @example
 * app.use(notFound());
 *
 * @example
 * app.use("/api", api, notFound()); // only below /api; other requests go on
 *
 * @see docs/portico.md
 */
export function notFound(): Handler;
export function notFound(given?: unknown): Handler {
  refuseRequest("notFound()", given);
  return describeHandler(
    function notFound(req, res) {
      adopt(req, res);
      answerProblem(req, res, 404, { detail: `There is nothing at ${pathOf(req)} for ${req.method}.` });
    },
    { concern: "notFound" },
  );
}
