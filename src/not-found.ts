import { refuseRequest } from "./lib/config/not-called.js";
import { boolean, readOptions, type SchemaOf } from "./lib/config/schema.js";
import { describeHandler, type Handler } from "./lib/express/handler.js";
import { methodsOf } from "./lib/express/route-methods.js";
import { pathOf } from "./lib/http/target.js";
import { adopt } from "./lib/request/transport.js";
import { send } from "./lib/response/send.js";
import { answerProblem } from "./lib/response/send-problem.js";

export interface NotFoundOptions {
  /**
   * Whether a path that has routes for other methods is answered with 405 and `Allow`, and its OPTIONS with 200.
   *
   * @defaultValue `true`
   */
  readonly methodNotAllowed?: boolean | undefined;
}

export const OPTIONS = () => ({ methodNotAllowed: boolean(true) }) satisfies SchemaOf<NotFoundOptions>;

/**
 * Answers requests that no route has answered, in the same form as `recover`: 405 with `Allow` if the app has routes of
 * other methods for the path, else 404.
 *
 * Goes after the router and before `recover`. `app.all` and `router.use` are no routes, and those of mounted apps are not
 * seen.
 *
 * @example
 * app.use(notFound());
 *
 * @example
 * app.use("/api", api, notFound()); // only below /api; other requests go on
 *
 * @throws {ConfigError} with all problems of the options
 * @see docs/portico.md and https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6
 */
export function notFound(options?: NotFoundOptions): Handler {
  refuseRequest("notFound()", options);
  const { checker, plan } = readOptions("notFound()", OPTIONS, options);
  const { methodNotAllowed } = checker.done(plan);
  return describeHandler(
    function notFound(req, res) {
      adopt(req, res);
      const { method } = req;
      const methods = methodNotAllowed ? methodsOf(req) : NONE;
      const isKnown = methods.has(method) || (method === "HEAD" && methods.has("GET"));
      if (methods.size === 0 || isKnown) {
        answerProblem(req, res, 404, { detail: `There is nothing at ${pathOf(req)} for ${method}.` });
        return;
      }
      const allowed = [...methods, ...(methods.has("GET") ? ["HEAD"] : []), "OPTIONS"];
      const allow = [...new Set(allowed)].join(", ");
      if (res.headersSent) return;
      res.setHeader("Allow", allow);
      if (method === "OPTIONS") send(req, res, 200, undefined, "");
      else
        answerProblem(req, res, 405, { detail: `${pathOf(req)} is there for ${allow}, not for ${method}.` });
    },
    { concern: "notFound" },
  );
}

const NONE: ReadonlySet<string> = new Set();
