import type { RequestHandler } from "express";

/** Answers 421 to requests for other hosts (DNS rebinding). Goes first in the app: `app.use(allowHosts("localhost"))`. */
export function allowHosts(...names: string[]): RequestHandler {
  const allowed = new Set(names.map((name) => name.toLowerCase()));
  return (req, res, next) => {
    const host = (req.get("Host") ?? "").toLowerCase();
    const name = host.replace(/:\d+$/, "").replace(/\.$/, "");
    if (allowed.has(name)) next();
    else res.status(421).type("text/plain").send("This server does not answer for that host.\n");
  };
}
