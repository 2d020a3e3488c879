import type { ErrorRequestHandler, RequestHandler } from "express";
import { peek } from "../values/thrown.js";
import type { ErrorHandler, Handler } from "./handler-types.js";

const HANDLER: unique symbol = Symbol.for("express-portico/handler/1") as never;
/** Also what a chain keeps its members under. */
const MEMBERS: unique symbol = Symbol.for("express-portico/members") as never;

/** What a handler of this package tells those who read an app's pipeline. */
export interface HandlerInfo {
  readonly concern: string;
  readonly [fact: string]: unknown;
}

/**
 * Notes on a handler what it is, so that nobody has to guess it of its name. Registered, so that another copy of the
 * package reads it too. `inner`: the handlers that it runs in its own place.
 */
export function describeHandler(
  handler: RequestHandler,
  state: HandlerInfo,
  inner?: readonly unknown[],
): Handler;
export function describeHandler(handler: ErrorRequestHandler, state: HandlerInfo): ErrorHandler;
export function describeHandler(handler: object, state: HandlerInfo, inner?: readonly unknown[]): object {
  Object.defineProperty(handler, HANDLER, { value: Object.freeze({ ...state }) });
  if (inner !== undefined) Object.defineProperty(handler, MEMBERS, { value: Object.freeze([...inner]) });
  return handler;
}

export function handlerInfo(handler: unknown): HandlerInfo | undefined {
  const state = peek(handler, HANDLER);
  return typeof peek(state, "concern") === "string" ? (state as HandlerInfo) : undefined;
}

export function membersOf(handler: unknown): readonly unknown[] | undefined {
  const members = peek(handler, MEMBERS);
  return Array.isArray(members) ? members : undefined;
}
