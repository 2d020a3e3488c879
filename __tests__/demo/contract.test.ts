import { join } from "node:path";
import { contract } from "express-portico/testing";
import { Registry } from "prom-client";
import { demoApp } from "../../demo/app.js";
import { memoryLogger } from "../support/logger.js";

const lines: string[] = [];
const registry = new Registry();
const before = process.env.NODE_ENV;
process.env.NODE_ENV = "production"; // so that errors show no stack
const app = demoApp({
  ownOrigin: "http://localhost:8080",
  otherOrigin: "http://localhost:8081",
  metricsOrigin: "http://localhost:9464",
  fibonacci: join(__dirname, "../../demo/fibonacci.mjs"),
  load: join(__dirname, "../../demo/load.mjs"),
  registry,
  log: { format: "json", stream: { write: (line: string) => void lines.push(line) } },
  recover: { logger: memoryLogger() },
});
process.env.NODE_ENV = before;

const as = (token: string) => ({ Authorization: `Bearer ${token}` });
const cases = contract(app, {
  cors: {
    allowed: "http://localhost:8081",
    refused: "https://evil.example",
    methods: ["GET", "PUT", "DELETE"],
    headers: ["Content-Type", "Authorization"],
    exposed: ["X-Request-Id"],
    credentials: true,
  },
  routes: {
    ok: "/hello",
    failing: "/panic",
    failingLate: "/panic-late",
    protected: { path: "/admin", as: as("demo-owner") },
    slow: { path: "/slow", endsMs: 1_000 },
    upload: { path: "/upload", bytes: 8_000_000, status: 500 },
    changing: "/transfer",
    personal: { path: "/admin", as: [as("demo-owner"), as("demo-reader")] },
  },
  securityHeaders: true,
  hosts: true,
  methodNotAllowed: true,
  secrets: ["the handler panicked"],
  log: { lines: () => lines },
  metrics: { text: () => registry.metrics() },
});

it.each(cases.map(({ name, run }) => [name, run]))("%s", (_name, run) => run());

it("no part of the contract is left out", () => {
  expect(cases).toHaveLength(84);
});
