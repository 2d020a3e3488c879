// Fastify: bare, with its logger, and with @fastify/helmet and @fastify/cors.
import fastifyCors from "@fastify/cors";
import fastifyHelmet from "@fastify/helmet";
import fastifyStatic from "@fastify/static";
import Fastify from "fastify";
import { CACHED, LARGE, ORIGINS, PAGE, SMALL, staticFolder, swallow } from "./common.mjs";

const STEPS = ["bare", "log", "headers", "plugins"];

export async function start(name) {
  const step = STEPS.indexOf(name);
  const app = Fastify({ logger: step >= 1 && { stream: swallow }, keepAliveTimeout: 0 });
  if (step >= 2) await app.register(fastifyHelmet);
  if (step >= 3)
    await app.register(fastifyCors, { origin: ORIGINS, methods: ["GET", "HEAD", "PUT", "POST"] });
  await app.register(fastifyStatic, { root: staticFolder(), prefix: "/static/" });
  app.get("/", () => SMALL);
  app.get("/large", () => LARGE);
  app.get("/page", (_req, reply) => reply.type("text/html; charset=utf-8").send(PAGE));
  app.post("/items", (req) => ({ received: req.body.items.length }));
  app.get("/cached", { onRequest: fromMap, onSend: intoMap }, () => CACHED);
  app.get("/private", { onRequest: refuse }, () => SMALL);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return app.server.address().port;
}

// The simplest cache that an app can write itself.
const kept = new Map();
function fromMap(req, reply, done) {
  const body = kept.get(req.url);
  if (body === undefined) done();
  else reply.type("application/json; charset=utf-8").send(body);
}
function intoMap(req, _reply, body, done) {
  kept.set(req.url, body);
  done(null, body);
}

function refuse(_req, reply) {
  reply
    .code(401)
    .header("WWW-Authenticate", "Bearer")
    .type("application/problem+json")
    .send('{"type":"about:blank","title":"Unauthorized","status":401}');
}
