import type { RequestHandler } from "express";

/** Makes one handler of several: each runs when the one before it calls `next()`. */
export function chain(...handlers: RequestHandler[]): RequestHandler {
  return (req, res, next) => {
    const run = (index: number, error?: unknown): void => {
      const handler = handlers[index];
      if (error !== undefined || handler === undefined) {
        next(error);
        return;
      }
      try {
        const result: unknown = handler(req, res, (failure?: unknown) => run(index + 1, failure));
        if (result instanceof Promise) result.catch(next);
      } catch (failure) {
        next(failure);
      }
    };
    run(0);
  };
}
