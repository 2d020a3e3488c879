import type { ErrorRequestHandler, RequestHandler } from "express";
import type { Handler } from "../lib/express/handler.js";

/** A member of a chain. What it adds to the request is known only to the type of the chain. */
export type Member = RequestHandler | ErrorRequestHandler;

/**
 * The property of a chain, and of a handler made of others, with its members in order. The symbol is registered so that
 * tools that print an app's order can read it, also from another copy of the package.
 */
export const MEMBERS: unique symbol = Symbol.for("express-portico/members") as never;

export type Composed = { readonly [MEMBERS]: readonly Member[] };

/** Express's rule. Parameters with a default value and rest parameters do not count in `length`. */
export function isErrorHandler(member: Member): member is ErrorRequestHandler {
  return member.length === 4;
}

export function nameOf(member: Member): string {
  const { name } = member;
  return typeof name === "string" && name !== "" ? name : "<anonymous>";
}

/** The most names in a composed name. All members are under the symbol. */
const SHOWN = 10;

/** Gives a handler the name `kind(member, member)`, and its members. */
export function compose(handler: RequestHandler, kind: string, members: readonly Member[]): Handler {
  const names = members.map(nameOf);
  const hidden = names.length - SHOWN;
  if (hidden > 0) names.splice(SHOWN - 1, hidden, `${hidden} more`);
  Object.defineProperty(handler, "name", { value: `${kind}(${names.join(", ")})`, configurable: true });
  Object.defineProperty(handler, MEMBERS, { value: Object.freeze([...members]) });
  return handler as Handler;
}
