import express, { type RequestHandler } from "express";
import { type CspReportsOptions, cspReports, type ViolationReport } from "../../src/csp-reports/index.js";
import { listen } from "../support/server.js";

export const CSP = "application/csp-report";
export const REPORTS = "application/reports+json";

/** The keys of an event, in order. */
export const KEYS = [
  "type",
  "documentUrl",
  "referrer",
  "blockedUrl",
  "effectiveDirective",
  "originalPolicy",
  "disposition",
  "statusCode",
  "sample",
  "sourceFile",
  "lineNumber",
  "columnNumber",
  "message",
  "userAgent",
  "ageMs",
  "body",
];

/** A report for `report-uri`, as Chrome, Firefox and Safari send it. */
export const legacy = {
  "document-uri": "https://app.example/page?id=1",
  referrer: "https://app.example/",
  "violated-directive": "script-src-elem 'self'",
  "effective-directive": "script-src-elem",
  "original-policy": "default-src 'self'; report-uri /csp-reports",
  disposition: "enforce",
  "blocked-uri": "https://evil.example/x.js",
  "line-number": 12,
  "column-number": 34,
  "source-file": "https://app.example/app.js",
  "status-code": 200,
  "script-sample": "",
};

/** The same report in the format of the Reporting API. */
export const modern = {
  documentURL: "https://app.example/page?id=1",
  referrer: "https://app.example/",
  effectiveDirective: "script-src-elem",
  originalPolicy: "default-src 'self'; report-uri /csp-reports",
  disposition: "enforce",
  blockedURL: "https://evil.example/x.js",
  lineNumber: 12,
  columnNumber: 34,
  sourceFile: "https://app.example/app.js",
  statusCode: 200,
  sample: "",
};

export const reporting = {
  age: 53,
  type: "csp-violation",
  url: "https://app.example/page?id=1",
  user_agent: "Agent/1",
  body: modern,
};

/** The event for both. */
export const event: ViolationReport = {
  type: "csp-violation",
  documentUrl: "https://app.example/page?id=1",
  referrer: "https://app.example/",
  blockedUrl: "https://evil.example/x.js",
  effectiveDirective: "script-src-elem",
  originalPolicy: "default-src 'self'; report-uri /csp-reports",
  disposition: "enforce",
  statusCode: 200,
  sample: undefined,
  sourceFile: "https://app.example/app.js",
  lineNumber: 12,
  columnNumber: 34,
  message: undefined,
  userAgent: "Agent/1",
  ageMs: undefined,
  body: undefined,
};

export const csp = (changes: object = {}) => JSON.stringify({ "csp-report": { ...legacy, ...changes } });

/** An app with cspReports, and the reports that its `onReport` gets. */
export function receiver(
  options: CspReportsOptions = {},
  ...before: RequestHandler[]
): { app: express.Express; told: ViolationReport[] } {
  const told: ViolationReport[] = [];
  const app = express();
  for (const handler of before) app.use(handler);
  app.use("/csp-reports", cspReports({ onReport: (report) => void told.push(report), ...options }));
  app.get("/fine", (_req, res) => void res.send("fine"));
  return { app, told };
}

/** The same, with a listening server. */
export async function listening(options: CspReportsOptions = {}, ...before: RequestHandler[]) {
  const made = receiver(options, ...before);
  return { ...made, server: await listen(made.app) };
}

export function post(body: string | Buffer, type: string, more = ""): Buffer {
  const head =
    `POST /csp-reports HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(body as string)]);
}
