import type { NextFunction, Request, Response } from "express";

/** What a handler leaves on the request. The property exists for the compiler alone, and for every copy of the package. */
export interface Adding<Adds> {
  readonly "~adds"?: Adds;
}

/**
 * A handler that puts properties on `req`, or needs those of others: a `chain` holds it to both. One that needs nothing
 * is a `RequestHandler`, and goes wherever Express takes one.
 *
 * @example
 * const loadUser: Middleware<{ user: User }> = async (req, _res, next) => {
 *   req.user = await users.find(req.get("x-user"));
 *   next();
 * };
 *
 * @example
 * // Adds `role`, and must stand behind what adds `user`:
 * const loadRole: Middleware<{ role: string }, { user: User }> = (req, _res, next) => {
 *   req.role = roles.get(req.user.id);
 *   next();
 * };
 */
export interface Middleware<Adds = unknown, Needs = unknown> extends Adding<Adds> {
  (req: Request & Needs & Partial<Adds>, res: Response, next: NextFunction): unknown;
}
