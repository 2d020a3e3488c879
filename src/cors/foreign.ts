import type { ForeignOptions } from "../lib/config/checker.js";

/** Option names of other packages and what to write instead. */
export const FOREIGN: ForeignOptions = {
  cors: {
    preflightContinue: 'it is shortCircuit: "preflight", which passes on every OPTIONS that is no preflight',
    headers: "allowedHeaders",
  },
  fastify: {
    strictPreflight: 'it is shortCircuit: "preflight", the default where origin is not "*"',
    preflight: "preflights are always answered here",
    hideOptionsRoute: "there is none: no route is made",
  },
  koa: {
    allowMethods: "methods",
    allowHeaders: "allowedHeaders",
    exposeHeaders: "exposedHeaders",
    keepHeadersOnError: "headers always stay on errors",
    secureContext:
      "there is none: it is crossOriginOpenerPolicy and crossOriginEmbedderPolicy of securityHeaders",
    privateNetworkAccess: "there is none: browsers have put it on hold",
  },
  hono: { allowMethods: "methods", allowHeaders: "allowedHeaders", exposeHeaders: "exposedHeaders" },
};
