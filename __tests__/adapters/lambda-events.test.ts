import { gunzipSync } from "node:zlib";
import { configure as codegenie } from "@codegenie/serverless-express";
import express, { type Express, type RequestHandler } from "express";
import serverless from "serverless-http";
import { contextOf, portico, type RequestLogEntry } from "../../src/index.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import {
  CLIENT,
  type EventSource,
  FUNCTION_HOST,
  HOST,
  type Returned,
  type Sent,
  SOURCES,
} from "./lambda-events.js";

const ORIGIN = "https://app.example";
const TEXT = "a compressible text ".repeat(200);

type Run = (event: object) => Promise<Returned>;

/** Of docs/guides/lambda.md: an event of a load balancer has no address, but the balancer has appended it to the header. */
const clientAddress: RequestHandler = (req, _res, next) => {
  const ip = req.get("X-Forwarded-For")?.split(", ").at(-1);
  if (!req.ip) {
    Object.assign(req, { ip });
    Object.assign(req.socket, { remoteAddress: ip });
  }
  next();
};

const ADAPTERS: Record<string, (app: Express) => Run> = {
  "serverless-http": (app) => serverless(app) as unknown as Run,
  "@codegenie/serverless-express": (app) => {
    const run = codegenie({ app }) as unknown as (event: object, context: object) => Promise<Returned>;
    return (event) => run(event, {});
  },
};

/** The app of docs/guides/lambda.md, with everything else that may refuse. */
function scene(adapter: string, source: EventSource) {
  const entries: RequestLogEntry[] = [];
  const { before, after } = portico({
    logger: memoryLogger(),
    log: { format: (entry) => void entries.push(entry) },
    headers: { preset: "api" },
    cors: { origin: ORIGIN },
    csrf: {},
    allowedHosts: [HOST, FUNCTION_HOST],
    compress: {},
    timeout: 100,
    bodyLimit: "1kb",
  });
  const app = express();
  app.set("env", "production");
  app.set("trust proxy", false); // the events have the client's address
  if (source.name.startsWith("Application Load Balancer")) app.use(clientAddress);
  app.use(before, express.json());
  app.get("/items/:id", (req, res) => {
    res.cookie("one", "1").cookie("two", "2");
    const { id } = contextOf(req);
    res.json({
      item: req.params.id,
      query: req.query,
      cookie: req.get("cookie"),
      protocol: req.protocol,
      id,
    });
  });
  app.post("/items", (req, res) => void res.status(201).json(req.body));
  app.get("/text", (_req, res) => void res.type("text").send(TEXT));
  app.get("/ip", (req, res) => void res.json({ ip: req.ip ?? null }));
  app.get("/broken", async () => {
    throw new Error("the database is gone");
  });
  app.get("/never", () => {});
  app.use(after);
  const run = ADAPTERS[adapter]!(app);
  return {
    async send(sent: Sent) {
      const returned = await run(source.eventOf(sent));
      const all = { ...returned.headers };
      for (const [name, values] of Object.entries(returned.multiValueHeaders ?? {}))
        all[name] ??= values.join(", ");
      const body = Buffer.from(returned.body, returned.isBase64Encoded ? "base64" : "utf8");
      await until(() => entries.length > 0);
      const record = entries.pop()!;
      expect(entries).toEqual([]);
      expect(record.status).toBe(returned.statusCode);
      expect(record.aborted).toBeUndefined();
      return { status: returned.statusCode, headers: all, body, returned, record };
    },
  };
}

const json = (body: Buffer) => JSON.parse(body.toString());

/** Of what a load balancer takes from a function, only these may have two fields of one name. */
const canRepeat = ({ name }: EventSource) => name !== "Application Load Balancer";

describe.each(Object.keys(ADAPTERS))("%s", (adapter) => {
  describe.each(SOURCES)("an event of $name", (source) => {
    const { send } = scene(adapter, source);

    it("comes with its path, query and cookies, and is one record with its route", async () => {
      const { status, headers, body, returned, record } = await send({
        path: "/items/7",
        query: [
          ["name", "a b&c"],
          ["lang", "ä"],
        ],
        cookies: ["a=1", "b=2"],
      });
      expect(status).toBe(200);
      expect(json(body)).toEqual({
        item: "7",
        query: { name: "a b&c", lang: "ä" },
        cookie: "a=1; b=2",
        protocol: "https",
        id: headers["x-request-id"],
      });
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        vary: expect.stringContaining("Origin"),
      });
      expect(source.cookiesOf(returned)).toEqual(
        canRepeat(source)
          ? ["one=1; Path=/", "two=2; Path=/"]
          : adapter === "serverless-http"
            ? []
            : ["one=1; Path=/"],
      );
      expect(record).toMatchObject({
        method: "GET",
        path: "/items/7",
        route: "/items/:id",
        requestId: json(body).id,
      });
    });

    it("has its body decoded, and limited", async () => {
      const post = (text: string) =>
        send({
          method: "POST",
          path: "/items",
          headers: { "content-type": "application/json", "sec-fetch-site": "same-origin" },
          body: Buffer.from(text),
        });
      const created = await post('{"name":"Käse"}');
      expect([created.status, json(created.body)]).toEqual([201, { name: "Käse" }]);
      expect((await post("{")).status).toBe(400);
      const long = await post(JSON.stringify({ text: "x".repeat(2_000) }));
      expect([long.status, json(long.body).title]).toEqual([413, "Payload Too Large"]);
      expect(long.record.refused).toEqual({ by: "bodyLimit", reason: "size" });
    });

    it("is refused as on a server: preflights, forged requests, other hosts", async () => {
      const preflight = (origin: string) =>
        send({
          method: "OPTIONS",
          path: "/items",
          headers: { origin, "access-control-request-method": "POST" },
        });
      const allowed = await preflight(ORIGIN);
      expect([allowed.status, allowed.headers["access-control-allow-origin"]]).toEqual([204, ORIGIN]);
      expect((await preflight("https://evil.example")).status).toBe(403);
      const forged = await send({
        method: "POST",
        path: "/items",
        headers: { "sec-fetch-site": "cross-site" },
      });
      expect([forged.status, forged.record.refused]).toEqual([403, { by: "csrf", reason: "sec-fetch-site" }]);
    });

    it("is answered with a 404, a 500 and the 503 of the timeout, which a page can read", async () => {
      for (const [path, status, title] of [
        ["/nowhere", 404, "Not Found"],
        ["/broken", 500, "Internal Server Error"],
        ["/never", 503, "Service Unavailable"],
      ] as const) {
        const reply = await send({ path, headers: { origin: ORIGIN } });
        expect([reply.status, json(reply.body).title]).toEqual([status, title]);
        expect(reply.headers["access-control-allow-origin"]).toBe(ORIGIN);
        expect(reply.headers["content-type"]).toMatch(/^application\/problem\+json/);
      }
    });

    it("gets a compressed body in Base64", async () => {
      const { headers, body, returned } = await send({
        path: "/text",
        headers: { "accept-encoding": "gzip" },
      });
      expect(headers["content-encoding"]).toBe("gzip");
      expect(returned.isBase64Encoded).toBe(true);
      expect(gunzipSync(body).toString()).toBe(TEXT);
    });

    it("has the address of its client in req.ip and in the log, and not what the client wrote", async () => {
      const { body, record } = await send({ path: "/ip" });
      expect([json(body).ip, record.remoteAddress]).toEqual([CLIENT, CLIENT]);
    });
  });
});
