import type { RequestHandler } from "express";
import express5 from "express";
import request, { type Response } from "supertest";
import { type SecurityHeadersOptions, securityHeaders } from "../../src/security-headers/index.js";

/** An app that believes what its proxy says, so that a test can speak TLS with a header. */
export function appWith(handlers: RequestHandler[], express = express5) {
  const app = express();
  app.set("trust proxy", true);
  for (const handler of handlers) app.use(handler);
  app.get("/", (_req, res) => void res.send("<p>page</p>"));
  return app;
}

export async function headersWith(
  options?: SecurityHeadersOptions | SecurityHeadersOptions[],
  tls = false,
): Promise<Record<string, string>> {
  const list = Array.isArray(options) ? options : [options];
  const { headers } = await get(appWith(list.map((one) => securityHeaders(one))), tls);
  return headers;
}

export function get(app: ReturnType<typeof appWith>, tls = false): Promise<Response> {
  return request(app)
    .get("/")
    .set("X-Forwarded-Proto", tls ? "https" : "http")
    .then((response) => response);
}

/** All headers that securityHeaders may send. */
export const OURS = [
  "content-security-policy",
  "content-security-policy-report-only",
  "cross-origin-embedder-policy",
  "cross-origin-opener-policy",
  "cross-origin-resource-policy",
  "origin-agent-cluster",
  "permissions-policy",
  "referrer-policy",
  "reporting-endpoints",
  "strict-transport-security",
  "x-content-type-options",
  "x-frame-options",
  "x-powered-by",
  "x-xss-protection",
];

export function onlyOurs(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => OURS.includes(name)));
}

/** A policy as a map, read without any knowledge of how it was written. */
export function parsePolicy(text: string | undefined): Record<string, string[]> {
  return Object.fromEntries(
    (text ?? "").split(";").map((directive) => {
      const [name = "", ...values] = directive.trim().split(" ");
      return [name, values];
    }),
  );
}
