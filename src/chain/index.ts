import type { RequestHandler } from "express";
import { ConfigError } from "../lib/config/config-error.js";
import type { Handler } from "../lib/express/handler.js";
import { checkHandler, checkMembers, isComposed } from "./check.js";
import { compile } from "./compile.js";
import { compose, MEMBERS, type Member } from "./members.js";
import { run } from "./run.js";
import type { Append, Chain } from "./types.js";

export type { ErrorHandler, Handler, Middleware } from "../lib/express/handler.js";
export { around, type Outcome } from "./around.js";
export { unless, when } from "./guard.js";
export type { Chain } from "./types.js";

/**
 * Puts handlers in order, as a value that can be kept, lengthened and used again; `then` makes one handler of them.
 * `chain(a, b).then(h)` is a(b(h)).
 *
 * A handler that adds to the request (`Middleware<Adds, Needs>`) makes it visible to those after it. An error handler
 * covers all to its right, the last handler included: `chain(recover(), …).then(router)` is Go's order. A second
 * `next()` of one handler is ignored and reported. The result goes wherever Express takes a handler.
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
 * @throws {ConfigError} for what is not a handler; it names the index
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

  // biome-ignore lint/suspicious/noThenProperty: the name that the pattern has, and it refuses to be awaited
  then(handler: unknown, ...more: unknown[]): Handler {
    if (more.length > 0) {
      // What `await` and a promise do with anything that has a `then`: they would wait for ever.
      throw new TypeError(
        "express-portico: a chain is not a promise: do not await it or return it from an async function; .then(handler) takes one handler",
      );
    }
    const problems = checkHandler("chain.then()", "handler", handler);
    if (problems.length > 0) throw new ConfigError("chain.then()", problems);
    const last = handler as RequestHandler;
    if (this[MEMBERS].length === 0) return last as Handler;
    const members = [...this[MEMBERS], last];
    const first = compile(members);
    return compose((req, res, next) => run(first, req, res, next), "chain", members);
  }
}
