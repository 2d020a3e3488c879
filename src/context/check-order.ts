import type { Request, Response } from "express";
import { appsAround } from "../lib/express/app.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { peek } from "../lib/values/thrown.js";

/** Each app is checked once, even with several `requestContext`. */
const checked = new WeakSet<object>();

/**
 * Returns a function that checks the order of the middleware of a request's app and logs a line for each fault. The app is
 * complete when its first request comes. That request is not delayed: the checker is loaded now, and the check runs after
 * the response.
 */
export function orderCheck(): (req: Request, res: Response) => void {
  const loading = import("../../tools/check/start-up.js");
  loading.catch(ignore);
  return (req, res) => {
    const apps = appsAround(peek(req, "app"));
    const outermost = apps.at(-1);
    if (outermost === undefined || checked.has(outermost)) return;
    checked.add(outermost);
    const check = () => {
      loading.then(({ checkAtStartUp }) => checkAtStartUp(apps)).catch(ignore);
    };
    onEnd(req, res, check, undefined);
  };
}

/** The app cannot be read. The check runs by default, so it says nothing then. */
function ignore(): void {}
