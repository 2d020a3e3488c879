import cors from "cors";
import express from "express";
import helmet from "helmet";
import morgan from "morgan";
import { contract } from "../../../tools/contract/index.js";
import { ALLOWED, demoExpectations, failuresOf, inProduction, LIMIT } from "./demo-parts.js";

inProduction();

/** helmet, cors and morgan, each used as its page says, in the usual order. */
function handWired(lines: string[]): express.Express {
  const app = express();
  app.use(morgan("combined", { stream: { write: (line) => void lines.push(line) } }));
  app.use(helmet());
  app.use((req, res, next) => {
    if (!req.path.startsWith("/admin") || req.get("authorization") === "Bearer demo-owner") return next();
    res.status(401).send("Who are you?");
  });
  app.use(cors({ origin: ALLOWED, credentials: true }));
  app.use(express.json());
  app.get("/hello", (_req, res) => void res.send("Hello\n"));
  app.get("/admin", (_req, res) => void res.json({ welcome: "owner" }));
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

it("helmet, cors and morgan by hand fail in these cases, and no others", async () => {
  const silenced = jest.spyOn(console, "error").mockImplementation(() => {});
  const lines: string[] = [];
  const failures = await failuresOf(contract(handWired(lines), demoExpectations(lines, 3_000)));
  silenced.mockRestore();
  expect(Object.keys(failures)).toMatchInlineSnapshot(`
[
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
]
`);
});
