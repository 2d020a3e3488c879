import cors from "cors";
import express from "express";
import promBundle from "express-prom-bundle";
import helmet from "helmet";
import morgan from "morgan";
import { Registry } from "prom-client";
import { contract } from "../../../tools/contract/index.js";
import { ALLOWED, demoExpectations, failuresOf, inProduction, LIMIT } from "./demo-parts.js";

inProduction();

/** helmet, cors, morgan and express-prom-bundle, each used as its page says, in the usual order. */
function handWired(lines: string[]): express.Express {
  const app = express();
  app.use(morgan("combined", { stream: { write: (line) => void lines.push(line) } }));
  app.use(promBundle({ includeMethod: true, includePath: true, promRegistry: new Registry() }));
  app.use(helmet());
  app.use((req, res, next) => {
    if (!req.path.startsWith("/admin") || req.get("authorization") === "Bearer demo-owner") return next();
    res.status(401).send("Who are you?");
  });
  app.use(cors({ origin: ALLOWED, credentials: true }));
  app.use(express.json());
  app.get("/hello", (_req, res) => void res.send("Hello\n"));
  app.get("/admin", (_req, res) => void res.json({ welcome: "owner" }));
  app.get("/readyz", (_req, res) => void res.send("OK"));
  app.get("/livez", (_req, res) => void res.send("OK"));
  app.get("/busy", (_req, res) => void setTimeout(() => res.send("Done\n"), 100));
  app.get("/me", (req, res) => void res.json({ name: req.get("authorization") ?? "nobody" }));
  app.get("/late", (_req, res) => void setTimeout(() => res.send("Late\n"), 120));
  app.get("/panic", () => {
    throw new Error("the handler panicked");
  });
  app.post("/upload", () => {
    throw new Error("the handler panicked before it read the upload");
  });
  const raw = express.raw({ type: () => true, limit: LIMIT });
  app.post("/limited", raw, (req, res) => void res.json({ bytes: req.body.length }));
  app.get("/panic-late", async (_req, res) => {
    res.write("The first half of an answer, ");
    throw new Error("the handler panicked half-way");
  });
  return app;
}

const FAILING = [
  "GET /late is answered with 503",
  "a preflight to /admin is granted, without credentials",
  "a page at https://app.example can read the 401 of GET /admin",
  "a page at https://app.example can see the headers X-Request-Id",
  "the 500 of POST /upload shows nothing of the app's inside",
  "the 401 of /admin has a challenge",
  "the 500 of POST /upload does not wait for the upload",
  "a client that is still sending can read the 500 of POST /upload",
  "the log has no credentials",
  "POST /hello is not refused if the app's own page sends it, or no browser",
  "a request for another host is refused",
  "another host is refused if the client says in a header that it is the app's own",
  "a request with two hosts, or a malformed one, is refused",
  "/hello answers a method that it does not have with 405 and Allow",
  "POST /limited refuses a body of more than 100000 bytes with 413",
  "POST /limited refuses a body of more than 100000 bytes with 413, also if it is chunked",
  "GET /readyz is answered with 200, in JSON",
  "the answer of GET /readyz may not be kept by a cache",
  "GET /busy refuses with 503 what is more than 3 at once",
  "the 503 of GET /busy says when to come back, and may not be kept by a cache",
  "GET /busy serves 3 at once again, after it was busy",
  "GET /livez is answered while GET /busy is refused",
  "clients cannot make series of the metrics with paths, hosts and headers",
];

it("helmet, cors, morgan and express-prom-bundle by hand fail in these cases, and no others", async () => {
  const silenced = jest.spyOn(console, "error").mockImplementation(() => {});
  const lines: string[] = [];
  const expectations = demoExpectations(lines, 3_000);
  const metrics = { path: "/metrics", counter: "http_request_duration_seconds_count" };
  const all = contract(handWired(lines), { ...expectations, metrics });
  const few = all;
  const failures = await failuresOf(few);
  silenced.mockRestore();
  expect(all.map(({ name }) => name)).toEqual(expect.arrayContaining(FAILING));
  expect(Object.keys(failures)).toEqual(
    FAILING.filter((failing) => few.some(({ name }) => name === failing)),
  );
});
