import type { ErrorRequestHandler, RequestHandler } from "express";
import { ConfigError, type ProblemInput } from "../lib/config/config-error.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { type Handler, MEMBERS, STEPS } from "../lib/express/handler.js";
import type { Subject } from "./errors.js";

/** A member of a chain. What it adds to the request is known only to the type of the chain. */
export type Member = RequestHandler | ErrorRequestHandler;

type Composed = { readonly [MEMBERS]: readonly Member[] };

/** Express's rule. Parameters with a default value and rest parameters do not count in `length`. */
export function isErrorHandler(member: Member): member is ErrorRequestHandler {
  return member.length === 4;
}

/** At most 200 characters: the name of a chain has those of its members, and would double with each chain within a chain. */
export function nameOf(member: Member): string {
  const { name } = member;
  return typeof name === "string" && name !== "" ? name.slice(0, 200) : "<anonymous>";
}

/** The most names in a composed name. The property MEMBERS has all members. */
const SHOWN = 10;

/** Gives a handler the name `kind(member, member)`, and its members and steps. */
export function compose(handler: RequestHandler, kind: string, steps: readonly Step[]): Handler {
  const members = steps.map(({ handle }) => handle);
  const names = members.map(nameOf);
  const hidden = names.length - SHOWN;
  if (hidden > 0) names.splice(SHOWN - 1, hidden, `${hidden} more`);
  Object.defineProperty(handler, "name", { value: `${kind}(${names.join(", ")})`, configurable: true });
  Object.defineProperty(handler, MEMBERS, { value: Object.freeze(members) });
  Object.defineProperty(handler, STEPS, { value: steps });
  return handler as Handler;
}

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
      ? `must not be an error handler: ${subject === "chain.then()" ? "it covers what is to its right, so append it before" : "put it in a chain: chain(onError).then(handler)"}`
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

/** One member of a chain and what follows from its place in it. */
export interface Step extends Subject {
  readonly handle: Member;
  readonly isErrorHandler: boolean;
  /** Runs when this step calls `next()`; undefined: what comes after the chain. */
  readonly following: Step | undefined;
  /** Gets the errors of this step: the nearest error handler on the left; undefined: what comes after the chain. */
  readonly errorHandler: Step | undefined;
}

/** The steps in the order of the members. The last member must not be an error handler. */
export function compile(members: readonly Member[], isChain = true): Step[] {
  const steps: { -readonly [K in keyof Step]: Step[K] }[] = [];
  let errorHandler: Step | undefined;
  members.forEach((handle, index) => {
    const step = {
      name: nameOf(handle),
      index: isChain ? index : undefined,
      handle,
      isErrorHandler: isErrorHandler(handle),
      following: undefined,
      errorHandler,
    };
    if (step.isErrorHandler) errorHandler = step;
    steps.push(step);
  });
  let following: Step | undefined;
  for (const step of steps.toReversed()) {
    if (step.isErrorHandler) continue; // runs only after an error; its `next()` leaves the chain
    step.following = following;
    following = step;
  }
  return steps;
}

/** The step that a request comes to first. */
export function firstOf(steps: readonly Step[]): Step {
  return steps.find(({ isErrorHandler }) => !isErrorHandler)!;
}
