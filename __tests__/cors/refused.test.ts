import type { Request } from "express";
import request from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { knownState } from "../../src/lib/request/state.js";
import { requestLog } from "../../src/request-log/index.js";
import { expressVersions } from "../support/express.js";
import { A, PREFLIGHT } from "./support.js";

describe.each(
  expressVersions,
)("on %s, the request's record says what refused a preflight", (_version, express) => {
  async function refusedOf(options: CorsOptions, method: string, headers: Record<string, string>) {
    let seen: Request | undefined;
    const app = express();
    app.use((req, _res, next) => {
      seen = req;
      next();
    }, cors(options));
    app.use((_req, res) => void res.send("reached"));
    const { status } = await request(app)[method === "OPTIONS" ? "options" : "get"]("/").set(headers);
    return [status, knownState(seen!)?.refused];
  }
  const asks = (headers: Record<string, string>) => ({ ...PREFLIGHT, ...headers });

  it.each<[string, CorsOptions, Record<string, string>, string]>([
    ["an origin that is not listed", { origin: "https://b.example" }, PREFLIGHT, "origin"],
    ["an origin that a function refuses", { origin: () => false }, PREFLIGHT, "origin"],
    ["an origin that a promise refuses", { origin: async () => false }, PREFLIGHT, "origin"],
    ["null", { origin: A }, asks({ Origin: "null" }), "origin"],
    ["origin: false", { origin: false }, PREFLIGHT, "origin"],
    ["a method", { origin: A, methods: ["GET"] }, PREFLIGHT, "method"],
    ["what is no method", { origin: A }, asks({ "Access-Control-Request-Method": "P UT" }), "method"],
    [
      "a header",
      { origin: A, allowedHeaders: ["x-a"] },
      asks({ "Access-Control-Request-Headers": "x-b" }),
      "header",
    ],
    [
      "too many headers",
      { origin: A },
      asks({ "Access-Control-Request-Headers": "x".repeat(1_025) }),
      "header",
    ],
    ["explain or not", { origin: false, explain: false }, PREFLIGHT, "origin"],
  ])("for %s", async (_name, options, headers, reason) => {
    expect(await refusedOf(options, "OPTIONS", headers)).toEqual([403, { by: "cors", reason }]);
  });

  it("and the log entry has the reason", async () => {
    const lines: string[] = [];
    const log = requestLog({ format: "json", stream: { write: (line: string) => lines.push(line) } });
    const app = express();
    app.use(log, cors({ origin: A, methods: ["GET"] }));
    await request(app).options("/").set(PREFLIGHT).expect(403);
    expect(JSON.parse(lines[0]!)).toMatchObject({ status: 403, refused: { by: "cors", reason: "method" } });
  });

  it.each<[string, CorsOptions, string, Record<string, string>, number]>([
    ["an allowed preflight", { origin: A }, "OPTIONS", PREFLIGHT, 204],
    [
      "a request of a refused origin, which goes on",
      { origin: "https://b.example" },
      "GET",
      { Origin: A },
      200,
    ],
    [
      "an OPTIONS that is no preflight",
      { origin: false, shortCircuit: "all" },
      "OPTIONS",
      { Origin: A },
      200,
    ],
  ])("but nothing for %s", async (_name, options, method, headers, status) => {
    expect(await refusedOf(options, method, headers)).toEqual([status, undefined]);
  });
});
