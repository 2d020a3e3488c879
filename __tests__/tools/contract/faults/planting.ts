import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from "express";
import type { Part } from "../demo-parts.js";

export type Plant = (parts: Part[], lines: string[]) => Part[];

export const remove =
  (name: string): Plant =>
  (parts) =>
    parts.filter(([own]) => own !== name);
export const replace =
  (name: string, make: (lines: string[]) => RequestHandler): Plant =>
  (parts, lines) =>
    parts.map((part) => (part[0] === name ? [name, make(lines)] : part));
export const before =
  (name: string, handler: RequestHandler): Plant =>
  (parts) =>
    parts.flatMap((part): Part[] => (part[0] === name ? [["fault", handler], part] : [part]));
export const beforeRecover =
  (handler: ErrorRequestHandler): Plant =>
  (parts) =>
    parts.flatMap((part): Part[] => (part[0] === "recover" ? [["fault", handler], part] : [part]));

/** In the place of the demo's `recover`, for errors whose answer has not begun. */
export const answerErrors = (
  answer: (error: Error, req: Request, res: Response, next: NextFunction) => void,
): Plant =>
  beforeRecover((error, req, res, next) => (res.headersSent ? next(error) : answer(error, req, res, next)));

export const move =
  (name: string, beforeName: string): Plant =>
  (parts) => {
    const moved = parts.find(([own]) => own === name)!;
    return parts.flatMap((part) => (part[0] === name ? [] : part[0] === beforeName ? [moved, part] : [part]));
  };

/** For one path, and the paths below it. */
export const on =
  (path: string, handler: RequestHandler): RequestHandler =>
  (req, res, next) =>
    req.path === path || req.path.startsWith(`${path}/`) ? handler(req, res, next) : next();

/** Acts when the head is about to go out, after all others have had their say. */
export const atHead =
  (act: (res: Response, req: Parameters<RequestHandler>[0]) => void): RequestHandler =>
  (req, res, next) => {
    const { writeHead } = res;
    res.writeHead = ((...args: unknown[]) => {
      act(res, req);
      return Reflect.apply(writeHead, res, args);
    }) as typeof writeHead;
    next();
  };
