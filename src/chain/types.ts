import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from "express";
import type { Adding, Handler } from "../lib/express/handler.js";

/** A handler that needs at most `Added` on the request and adds `Adds` to it. */
export interface Appendable<Added, Adds> extends Adding<Adds> {
  (req: Request & NoInfer<Added>, res: Response, next: NextFunction): unknown;
}

// Handlers for the parameters of one route are accepted too: the route is not known yet.
// biome-ignore lint/suspicious/noExplicitAny: Express's own way to say "whatever the parameters are"
type Any = any;

// All overloads have the optional property of `Adding`: TypeScript would prefer an overload without it.
type E = ErrorRequestHandler<Any, Any, Any, Any> & Adding<unknown>;

/** All that may be appended. The first overloads avoid this union: it would leave inline handlers' parameters untyped. */
type Member<Added, Adds> = Appendable<Added, Adds> | (RequestHandler<Any, Any, Any, Any> & Adding<Adds>) | E;

/**
 * Each handler sees what the handlers before it have added. This is typed for up to six handlers in one call, and not for a
 * spread list.
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

/** An ordered, immutable list of handlers. `Added` is what they put on the request. */
export interface Chain<Added = unknown> {
  /**
   * A new chain with these handlers added at the end.
   *
   * @throws {ConfigError} for arguments that are not handlers, with their index
   */
  readonly append: Append<Added>;

  /** A new chain with the other chain's handlers added at the end: `chain(a, b).extend(chain(c))` is `chain(a, b, c)`. */
  extend<More>(other: Chain<More>): Chain<Added & More>;

  /**
   * One handler that runs all of them, for `app.use`, a route, or a server without Express. An empty chain returns the
   * given handler itself.
   */
  then<Params = Request["params"]>(
    handler: (req: Request<Params> & NoInfer<Added>, res: Response, next: NextFunction) => unknown,
  ): Handler;
}
