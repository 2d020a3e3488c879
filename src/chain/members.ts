import type { ErrorRequestHandler, RequestHandler } from "express";
import type { Handler } from "../lib/express/handler.js";

/** A member as the chain holds it: what types it had is the business of the chain's own type. */
export type Member = RequestHandler | ErrorRequestHandler;

/**
 * On a chain, and on a handler made of others: what it is made of, in order. Registered, so that what prints an app's
 * order can look inside, also with another copy of the package.
 */
export const MEMBERS: unique symbol = Symbol.for("express-portico/members") as never;

export type Composed = { readonly [MEMBERS]: readonly Member[] };

/** Express's rule. An `err` parameter with a default, or a rest parameter, does not count in `length`. */
export function isErrorHandler(member: Member): member is ErrorRequestHandler {
  return member.length === 4;
}

export function nameOf(member: Member): string {
  const { name } = member;
  return typeof name === "string" && name !== "" ? name : "<anonymous>";
}

/** As many names as one wants to read in a stack; the symbol has them all. */
const SHOWN = 10;

/** Gives a handler the name `kind(member, member)`, and its members. */
export function compose(handler: RequestHandler, kind: string, members: readonly Member[]): Handler {
  const names = members.map(nameOf);
  const left = names.length - SHOWN;
  if (left > 0) names.splice(SHOWN - 1, left, `${left} more`);
  Object.defineProperty(handler, "name", { value: `${kind}(${names.join(", ")})`, configurable: true });
  Object.defineProperty(handler, MEMBERS, { value: Object.freeze([...members]) });
  return handler as Handler;
}
