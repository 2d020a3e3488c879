import type { ForeignOptions } from "../config/foreign.js";

/** Option names of packages that people come from, and what they are here. */
export const FOREIGN: ForeignOptions = {
  cors: {
    preflightContinue: 'it is shortCircuit: "preflight", which hands on every OPTIONS that is no preflight',
    headers: "allowedHeaders",
  },
  hono: { allowMethods: "methods", allowHeaders: "allowedHeaders", exposeHeaders: "exposedHeaders" },
};
