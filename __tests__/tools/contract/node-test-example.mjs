// Run by `node --test`, against what is published; with BROKEN set it must fail.
import { test } from "node:test";
import express from "express";
import { portico } from "express-portico";
import { contract } from "express-portico/testing";

const ourApp = () => {
  const app = express();
  const origin = process.env.BROKEN ? "https://other.example" : "https://app.example";
  const { before, after } = portico({ cors: { origin }, log: false });
  app.use(before);
  app.get("/hello", (_req, res) => void res.send("Hello\n"));
  app.use(after);
  return app;
};

const cases = contract(ourApp(), {
  cors: { allowed: "https://app.example", refused: "https://evil.example" },
  routes: { ok: "/hello" },
  securityHeaders: true,
});
for (const { name, run } of cases) test(name, run);
