import type { Request, RequestHandler } from "express";
import { answerProblem } from "../http/answer.js";
import { type Auth, factsOf } from "../http/facts.js";
import { asError } from "../http/thrown.js";

type Verdict = object | boolean | undefined | Promise<object | boolean | undefined>;
export interface Scheme {
  readonly name: Auth["scheme"];
  readonly challenge: string;
  readonly verify: (req: Request) => Verdict;
}
export function bearer({
  verify,
  realm = "api",
}: {
  verify: (token: string, req: Request) => Verdict;
  realm?: string;
}): Scheme {
  return {
    name: "bearer",
    challenge: `Bearer realm="${realm}"`,
    verify: (req) => {
      const token = /^bearer +(\S+)$/i.exec(req.headers.authorization ?? "")?.[1];
      return token === undefined ? false : verify(token, req);
    },
  };
}
export function basic({
  verify,
  users = {},
  realm = "api",
}: {
  verify?: (user: string, password: string, req: Request) => Verdict;
  users?: Record<string, string>;
  realm?: string;
}): Scheme {
  return {
    name: "basic",
    challenge: `Basic realm="${realm}", charset="UTF-8"`,
    verify: (req) => {
      const sent = /^basic +(\S+)$/i.exec(req.headers.authorization ?? "")?.[1];
      if (sent === undefined) return false;
      const [user = "", ...rest] = Buffer.from(sent, "base64").toString().split(":");
      if (verify) return verify(user, rest.join(":"), req);
      return Object.hasOwn(users, user) && users[user] === rest.join(":") ? { name: user } : false;
    },
  };
}
export function apiKey({
  header = "x-api-key",
  verify,
  keys = [],
}: {
  header?: string;
  verify?: (key: string, req: Request) => Verdict;
  keys?: readonly string[];
}): Scheme {
  return {
    name: "apiKey",
    challenge: "ApiKey",
    verify: (req) => {
      const key = req.headers[header];
      if (typeof key !== "string") return false;
      return verify ? verify(key, req) : keys.includes(key) && {};
    },
  };
}
export function authenticate(schemes: Scheme | readonly Scheme[]): RequestHandler {
  const list = [schemes].flat() as Scheme[];
  return async function authenticate(req, res, next) {
    try {
      for (const scheme of list) {
        const verdict = await scheme.verify(req);
        if (verdict !== true && (typeof verdict !== "object" || verdict === null)) continue;
        factsOf(req).auth = Object.freeze({
          scheme: scheme.name,
          principal: verdict === true ? {} : (verdict as Auth["principal"]),
        });
        return next();
      }
    } catch (error) {
      return next(asError(error));
    }
    res.setHeader(
      "WWW-Authenticate",
      list.map(({ challenge }) => challenge),
    );
    answerProblem(req, res, 401, {});
  };
}
export function authorize(predicate: (req: Request) => boolean | Promise<boolean>): RequestHandler {
  return async function authorize(req, res, next) {
    try {
      if ((await predicate(req)) === true) return next();
    } catch (error) {
      return next(asError(error));
    }
    answerProblem(req, res, 403, {});
  };
}
