import express, { type Express, type RequestHandler } from "express";
import { chain } from "express-portico/chain";
import { measure } from "./harness.js";

// Five members of a chain against five layers of Express: what each adds to the bare app.
const LIMIT = 1;

const members = Array.from(
  { length: 5 },
  (): RequestHandler =>
    function member(_req, _res, next) {
      next();
    },
);
const last = members.at(-1)!;

function app(...before: RequestHandler[]): Express {
  const made = express();
  made.disable("x-powered-by");
  made.disable("etag");
  for (const handler of before) made.use(handler);
  made.get("/", (_req, res) => void res.json({ hello: "world" }));
  return made;
}

let best = Number.POSITIVE_INFINITY;
for (let attempt = 0; attempt < 3 && best > LIMIT; attempt++) {
  const cpu = await measure(
    new Map([
      ["bare", app()],
      ["chain", app(chain(...members.slice(0, -1)).then(last))],
      ["layers", app(...members)],
    ]),
  );
  const base = cpu.get("bare")!;
  const added = { chain: cpu.get("chain")! - base, layers: cpu.get("layers")! - base };
  const ratio = added.chain / added.layers;
  best = Math.min(best, ratio);
  console.log(
    `${ratio <= LIMIT ? "ok" : "OVER"}  chain of 5 +${added.chain.toFixed(2)} us, ` +
      `app.use of 5 +${added.layers.toFixed(2)} us (bare ${base.toFixed(2)}): ${ratio.toFixed(2)} of ${LIMIT}`,
  );
}
process.exitCode = best <= LIMIT ? 0 : 1;
