import type { AddressInfo } from "node:net";
import type { ErrorRequestHandler } from "express";
import * as root from "../../../src/index.js";
import { jwt } from "../../../src/jwt/index.js";
import { ConfigError } from "../../../src/lib/config/config-error.js";
import { offload } from "../../../src/offload/index.js";
import { expressVersions } from "../../support/express.js";

/** What is no factory of a handler: it is called with something else, or has nothing to hand to `app.use`. */
const OTHERS = new Set([
  "AbortRequest",
  "ConfigError",
  "checkPipeline",
  "describePipeline",
  "isCompressible",
]);

/** What only reads: it makes no handler, so that the remedy is another one. */
const readers = new Set(["contextOf", "currentContext"]);

const factories = Object.entries({ ...root, jwt, offload, "recover.wrap": root.recover.wrap }).filter(
  ([name, value]) => typeof value === "function" && !OTHERS.has(name),
) as [string, (...given: never[]) => unknown][];

describe.each(expressVersions)("%s", (_version, express) => {
  it.each(
    factories,
  )("app.use(%s) without the call is an error of each request, which names it", async (name, factory) => {
    const app = express();
    app.use(factory as never);
    const seen: unknown[] = [];
    app.use(((error, _req, res, _next) => {
      seen.push(error);
      res.status(500).end();
    }) as ErrorRequestHandler);
    const server = app.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      for (let i = 0; i < 2; i++) {
        const { status } = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) });
        expect(status).toBe(500);
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
    expect(seen).toEqual([expect.any(ConfigError), expect.any(ConfigError)]);
    const { message, problems } = seen[0] as ConfigError;
    expect(problems.map(({ option, code }) => ({ option, code }))).toEqual([
      { option: name, code: "ERR_PORTICO_NOT_CALLED" },
    ]);
    expect(message).toContain(`app.use(${name}${readers.has(name) ? ")" : "())"}`);
    expect(message).not.toContain("authorization"); // nothing of the request is printed
  });
});
