import type { RequestHandler } from "express";
import { ConfigError } from "../lib/config/config-error.js";
import { type Handler, MEMBERS } from "../lib/express/handler.js";
import { checkHandler, checkMembers, compile, compose, firstOf, isComposed, type Member } from "./members.js";
import { run } from "./run.js";
import type { Append, Chain } from "./types.js";

export type { ErrorHandler, Handler, Middleware } from "../lib/express/handler.js";
export { around, type Outcome } from "./around.js";
export { unless, when } from "./guard.js";
export type { Chain } from "./types.js";

/**
 * An ordered, immutable list of handlers. `then` makes one handler of them: `chain(a, b).then(h)` runs a, then b, then h.
 *
 * The type of the chain knows what a handler adds to the request (`Middleware<Adds, Needs>`). An error handler covers all
 * handlers to its right, the last one included: `chain(recover(), …).then(router)` is Go's order. A second `next()` of
 * one handler is ignored and reported. The result can be used wherever Express takes a handler.
 *
 * @example
 * const api = chain(requestContext(), requestLog(), securityHeaders());
 * app.use("/public", api.then(publicRouter));
 * app.use("/admin", api.append(authenticate(bearer({ verify }))).then(adminRouter));
 *
 * @example
 * app.get(
 *   "/me",
 *   chain(authenticate(bearer({ verify }))).then((req, res) => {
 *     res.json(req.auth.principal);
 *   }),
 * );
 *
 * @throws {ConfigError} for arguments that are not handlers, with their index
 * @see https://github.com/justinas/alice
 */
export const chain: Append<unknown> = function chain(...handlers: unknown[]): Chain {
  checkMembers("chain()", handlers);
  return new Handlers(handlers) as unknown as Chain;
};

class Handlers {
  readonly [MEMBERS]: readonly Member[];

  constructor(members: readonly Member[]) {
    this[MEMBERS] = Object.freeze([...members]);
    Object.freeze(this);
  }

  append(...handlers: unknown[]): Handlers {
    checkMembers("chain.append()", handlers);
    return new Handlers([...this[MEMBERS], ...handlers]);
  }

  extend(other: unknown): Handlers {
    if (!isComposed(other)) {
      const reason = "must be a chain; handlers are appended: .append(...handlers)";
      throw new ConfigError("chain.extend()", [{ option: "chain", value: other, reason }]);
    }
    return new Handlers([...this[MEMBERS], ...other[MEMBERS]]);
  }

  // biome-ignore lint/suspicious/noThenProperty: alice's name for it; `await` on a chain throws
  then(handler: unknown, ...more: unknown[]): Handler {
    if (more.length > 0) {
      // `await` calls `then` with two functions. Without this error it would wait for ever.
      throw new TypeError(
        "express-portico: a chain is not a promise: do not await it or return it from an async function; .then(handler) takes one handler",
      );
    }
    const problems = checkHandler("chain.then()", "handler", handler);
    if (problems.length > 0) throw new ConfigError("chain.then()", problems);
    const last = handler as RequestHandler;
    if (this[MEMBERS].length === 0) return last as Handler;
    const steps = compile([...this[MEMBERS], last]);
    const first = firstOf(steps);
    return compose((req, res, next) => run(first, req, res, next), "chain", steps);
  }
}
