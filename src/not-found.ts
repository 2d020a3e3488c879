import { refuseRequest } from "./config/not-called.js";
import { answerProblem } from "./http/answer-problem.js";
import { describeHandler } from "./http/describe-handler.js";
import { adopt } from "./http/in-process.js";
import type { Handler } from "./http/middleware.js";
import { pathOf } from "./http/target.js";

/**
 * Answers 404 to what no route has answered, in the same form as `recover` answers errors. Goes after the router and
 * before `recover`.
 *
 * @example
 * app.use(notFound());
 *
 * @example
 * app.use("/api", api, notFound()); // only below /api; the rest goes on
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
