import type { RequestHandler } from "express";

/** Answers 405 with Allow where the path is known for other methods: `app.route("/x").get(show).all(allowOnly("GET"))`. */
export function allowOnly(...methods: string[]): RequestHandler {
  const known = methods.includes("GET") ? [...methods, "HEAD"] : methods;
  const allow = [...known, "OPTIONS"].join(", ");
  return (req, res) => {
    res.setHeader("Allow", allow);
    if (req.method === "OPTIONS") res.status(200).end();
    else res.status(405).type("text/plain").send(`${req.method} is not allowed here.\n`);
  };
}
