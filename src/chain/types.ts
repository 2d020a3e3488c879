import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from "express";
import type { Adding, Handler } from "../lib/express/handler.js";

/** A handler that may be appended where `Added` is known to be on the request, and that adds `Adds` to it. */
export interface Appendable<Added, Adds> extends Adding<Adds> {
  (req: Request & NoInfer<Added>, res: Response, next: NextFunction): unknown;
}

// A handler for one route's parameters is any handler's equal here: which route it will stand on is not known yet.
// biome-ignore lint/suspicious/noExplicitAny: Express's own way to say "whatever the parameters are"
type Any = any;

// The optional property of `Adding` is on all of them: an overload without it would be preferred to those before it.
type E = ErrorRequestHandler<Any, Any, Any, Any> & Adding<unknown>;

/** What else may be appended. Not in the first overloads: a union would leave an inline handler's parameters untyped. */
type Member<Added, Adds> = Appendable<Added, Adds> | (RequestHandler<Any, Any, Any, Any> & Adding<Adds>) | E;

/**
 * Each handler sees what those before it have added. Up to six of them are followed in one call, more in another; of a
 * list that is spread, none is.
 */
export interface Append<T> {
  (): Chain<T>;
  <A>(a: Appendable<T, A>): Chain<T & A>;
  <A, B>(a: Appendable<T, A>, b: Appendable<T & A, B>): Chain<T & A & B>;
  <A, B, C>(a: Appendable<T, A>, b: Appendable<T & A, B>, c: Appendable<T & A & B, C>): Chain<T & A & B & C>;
  <A, B, C, D>(
    a: Appendable<T, A>,
    b: Appendable<T & A, B>,
    c: Appendable<T & A & B, C>,
    d: Appendable<T & A & B & C, D>,
  ): Chain<T & A & B & C & D>;
  <A, B, C, D, F>(
    a: Appendable<T, A>,
    b: Appendable<T & A, B>,
    c: Appendable<T & A & B, C>,
    d: Appendable<T & A & B & C, D>,
    e: Appendable<T & A & B & C & D, F>,
  ): Chain<T & A & B & C & D & F>;
  <A, B, C, D, F, G>(
    a: Appendable<T, A>,
    b: Appendable<T & A, B>,
    c: Appendable<T & A & B, C>,
    d: Appendable<T & A & B & C, D>,
    e: Appendable<T & A & B & C & D, F>,
    f: Appendable<T & A & B & C & D & F, G>,
  ): Chain<T & A & B & C & D & F & G>;

  (onError: E): Chain<T>;
  <A>(onError: E, a: Appendable<T, A>): Chain<T & A>;
  <A, B>(onError: E, a: Appendable<T, A>, b: Appendable<T & A, B>): Chain<T & A & B>;
  <A, B, C>(
    onError: E,
    a: Appendable<T, A>,
    b: Appendable<T & A, B>,
    c: Appendable<T & A & B, C>,
  ): Chain<T & A & B & C>;
  <A, B, C, D>(
    onError: E,
    a: Appendable<T, A>,
    b: Appendable<T & A, B>,
    c: Appendable<T & A & B, C>,
    d: Appendable<T & A & B & C, D>,
  ): Chain<T & A & B & C & D>;
  <A, B, C, D, F>(
    onError: E,
    a: Appendable<T, A>,
    b: Appendable<T & A, B>,
    c: Appendable<T & A & B, C>,
    d: Appendable<T & A & B & C, D>,
    e: Appendable<T & A & B & C & D, F>,
  ): Chain<T & A & B & C & D & F>;

  <A>(a: Member<T, A>): Chain<T & A>;
  <A, B>(a: Member<T, A>, b: Member<T & A, B>): Chain<T & A & B>;
  <A, B, C>(a: Member<T, A>, b: Member<T & A, B>, c: Member<T & A & B, C>): Chain<T & A & B & C>;
  <A, B, C, D>(
    a: Member<T, A>,
    b: Member<T & A, B>,
    c: Member<T & A & B, C>,
    d: Member<T & A & B & C, D>,
  ): Chain<T & A & B & C & D>;
  <A, B, C, D, F>(
    a: Member<T, A>,
    b: Member<T & A, B>,
    c: Member<T & A & B, C>,
    d: Member<T & A & B & C, D>,
    e: Member<T & A & B & C & D, F>,
  ): Chain<T & A & B & C & D & F>;
  <A, B, C, D, F, G>(
    a: Member<T, A>,
    b: Member<T & A, B>,
    c: Member<T & A & B, C>,
    d: Member<T & A & B & C, D>,
    e: Member<T & A & B & C & D, F>,
    f: Member<T & A & B & C & D & F, G>,
  ): Chain<T & A & B & C & D & F & G>;

  (...handlers: readonly Appendable<T, unknown>[]): Chain<T>;
  (...handlers: readonly Member<T, unknown>[]): Chain<T>;
}

/** Handlers in order, as a value: every method leaves it as it is. `Added` is what they put on the request. */
export interface Chain<Added = unknown> {
  /**
   * A new chain with these behind the others.
   *
   * @throws {ConfigError} for what is not a handler; it names the index
   */
  readonly append: Append<Added>;

  /** A new chain with the other's handlers behind these: `chain(a, b).extend(chain(c))` is `chain(a, b, c)`. */
  extend<More>(other: Chain<More>): Chain<Added & More>;

  /**
   * One handler of all of them, for `app.use`, for a route, or for a server without Express. Without any, it is the
   * given handler itself.
   */
  then<Params = Request["params"]>(
    handler: (req: Request<Params> & NoInfer<Added>, res: Response, next: NextFunction) => unknown,
  ): Handler;
}
