import type { IncomingMessage, ServerResponse } from "node:http";
import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from "express";
import { peek } from "../values/thrown.js";
import { originalOf } from "./app.js";

const HANDLER: unique symbol = Symbol.for("express-portico/handler/1") as never;
/**
 * The property of a chain, and of a handler made of others, with its members in order. The symbol is registered so that
 * tools that print an app's order can read it, also from another copy of the package.
 */
export const MEMBERS: unique symbol = Symbol.for("express-portico/members") as never;

/**
 * The property of a handler that runs others (`chain`, `when`, `unless`) with one object for each of them. A run reads
 * `handle` from it, so the inspector can put another function there.
 */
export const STEPS: unique symbol = Symbol.for("express-portico/steps/1") as never;

/** One of the handlers that a handler runs. */
export interface ComposedStep {
  handle: unknown;
}

/** What the pipeline check can read from a handler of this package. */
export interface HandlerInfo {
  readonly concern: string;
  readonly [name: string]: unknown;
}

/**
 * Adds a description to a handler, for the pipeline check. The symbols are registered, so that another copy of the package
 * reads them too. `inner`: the handlers that it runs itself.
 */
export function describeHandler(
  handler: RequestHandler,
  info: HandlerInfo,
  inner?: readonly unknown[],
): Handler;
export function describeHandler(handler: ErrorRequestHandler, info: HandlerInfo): ErrorHandler;
export function describeHandler(handler: object, info: HandlerInfo, inner?: readonly unknown[]): object {
  Object.defineProperty(handler, HANDLER, { value: Object.freeze({ ...info }) });
  if (inner !== undefined) Object.defineProperty(handler, MEMBERS, { value: Object.freeze([...inner]) });
  return handler;
}

export function handlerInfo(handler: unknown): HandlerInfo | undefined {
  const info = peek(originalOf(handler), HANDLER);
  return typeof peek(info, "concern") === "string" ? (info as HandlerInfo) : undefined;
}

export function membersOf(handler: unknown): readonly unknown[] | undefined {
  const members = peek(originalOf(handler), MEMBERS);
  return Array.isArray(members) ? members : undefined;
}

export function composedSteps(handler: unknown): readonly ComposedStep[] | undefined {
  const steps = peek(originalOf(handler), STEPS);
  return Array.isArray(steps) ? steps : undefined;
}

/**
 * What every factory of this package returns: a `RequestHandler` of Express that does not mention the route's types, so
 * that `req.params` of the next handlers keep theirs. It takes Node's own objects too.
 */
export type Handler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

/** The same for error handlers: an `ErrorRequestHandler` of Express. */
export type ErrorHandler = (
  // biome-ignore lint/suspicious/noExplicitAny: as Express declares it; with unknown it would fit fewer places
  error: any,
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/** Any handler of Express, whatever the types of its route. */
// biome-ignore lint/suspicious/noExplicitAny: as Express declares any parameters
export type AnyHandler = RequestHandler<any, any, any, any>;

/** The properties that a handler puts on the request. Only for the compiler: the property does not exist at run time. */
export interface Adding<Adds> {
  readonly "~adds"?: Adds;
}

/**
 * A handler that adds properties to `req`, or needs properties that others add: a `chain` checks both. One that needs
 * nothing is a `RequestHandler`, and fits wherever Express takes one.
 *
 * @example
 * const loadUser: Middleware<{ user: User }> = async (req, _res, next) => {
 *   req.user = await users.find(req.get("x-user"));
 *   next();
 * };
 *
 * @example
 * // Adds `role`, and must be after the middleware that adds `user`:
 * const loadRole: Middleware<{ role: string }, { user: User }> = (req, _res, next) => {
 *   req.role = roles.get(req.user.id);
 *   next();
 * };
 */
export interface Middleware<Adds = unknown, Needs = unknown> extends Adding<Adds> {
  (req: Before<Adds> & Needs, res: Response, next: NextFunction): unknown;
}

/**
 * The request before the properties are added. A property may be declared already: @types/passport declares `user`, and a
 * handler that refused that type could not be mounted.
 */
type Before<Adds> = [keyof Adds & keyof Request] extends [never]
  ? Request & Partial<Adds>
  : Omit<Request, keyof Adds> & {
      [Key in keyof Adds]?: Adds[Key] | (Key extends keyof Request ? Request[Key] : never) | undefined;
    };
