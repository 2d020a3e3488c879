import { ConfigError, type ProblemInput } from "../lib/config/config-error.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { type Composed, MEMBERS, type Member } from "./members.js";

/** Throws one `ConfigError` for all members that are not handlers. The index in it is that of the argument. */
export function checkMembers(subject: string, given: readonly unknown[]): asserts given is Member[] {
  refuseRequest(subject, given[0]);
  const problems = given.flatMap((value, i): ProblemInput[] => {
    const reason = faultOf(value);
    return reason === undefined
      ? []
      : [{ option: `handlers[${i}]`, value, reason, code: "ERR_PORTICO_INVALID_HANDLER" }];
  });
  if (problems.length > 0) throw new ConfigError(subject, problems);
}

/** Problems with a handler that is wrapped by another one: it must not be an error handler. */
export function checkHandler(subject: string, option: string, value: unknown): ProblemInput[] {
  const reason =
    faultOf(value, ".then(handler)") ??
    ((value as Member).length === 4
      ? `must not be an error handler: ${subject === "chain.then()" ? "it covers what stands to its right, so append it before" : "put it in a chain: chain(onError).then(handler)"}`
      : undefined);
  return reason === undefined ? [] : [{ option, value, reason, code: "ERR_PORTICO_INVALID_HANDLER" }];
}

function faultOf(value: unknown, remedy = ".extend(chain)"): string | undefined {
  if (typeof value === "function") {
    return value.length <= 4
      ? undefined
      : "has more than four parameters: Express would never call it. A handler has three, an error handler four";
  }
  if (Array.isArray(value)) return "must be a function, and is a list: spread it (...handlers)";
  if (isComposed(value)) return `must be a function, and is a chain: write ${remedy}`;
  return "must be a handler (req, res, next), or an error handler (err, req, res, next)";
}

export function isComposed(value: unknown): value is Composed {
  return typeof value === "object" && value !== null && MEMBERS in value;
}
