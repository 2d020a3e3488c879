import type http from "node:http";
import type { Logger } from "../../../src/lib/log/logger.js";
import { ask1 } from "../../support/http2.js";
import { listen, type RawExchange, raw, type TestServer } from "../../support/server.js";
import { runSnippet, snippetsOf } from "../../support/snippet.js";

const PAGE = "docs/beside.md";

/** Starts the example of a section of the page. */
export async function listenToExample(heading: string, index = 0): Promise<TestServer> {
  const app = await runSnippet(snippetsOf(PAGE, heading)[index]!);
  return listen(app as http.RequestListener);
}

/** Lines that the examples write to standard output. */
export function captureOutput(): string[] {
  const lines: string[] = [];
  jest.spyOn(process.stdout, "write").mockImplementation((text) => {
    lines.push(...String(text).split("\n").filter(Boolean));
    return true;
  });
  jest.spyOn(process.stderr, "write").mockReturnValue(true);
  return lines;
}

export const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export const PAGE_ORIGIN = "https://app.example";
export const fromPage = { origin: PAGE_ORIGIN };
export const preflight = {
  method: "OPTIONS",
  headers: { ...fromPage, "access-control-request-method": "PUT" },
};

export async function statusOf({ url }: TestServer, path = "/", options: Parameters<typeof ask1>[2] = {}) {
  return (await ask1(url, path, options)).status;
}

/** The cookie of a response, as a browser would send it back. */
export function cookieOf(headers: http.IncomingHttpHeaders): string {
  return headers["set-cookie"]![0]!.split(";", 1)[0]!;
}

/** How long a test waits for a response that must not come. */
const PATIENCE_MS = 300;

/** Sends a POST with less body than announced, and returns the response, if there is one. */
export async function stalledPost(
  { port }: TestServer,
  path: string,
  headers: Record<string, string>,
  begin: string,
  patienceMs = PATIENCE_MS,
): Promise<RawExchange & { readonly status: number | undefined }> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const exchange = await raw(
    port,
    `POST ${path} HTTP/1.1\r\nHost: x\r\n${lines.join("")}\r\n${begin}`,
    patienceMs,
  );
  const status = /^HTTP\/1\.1 (\d+)/.exec(exchange.text)?.[1];
  return { ...exchange, status: status === undefined ? undefined : Number(status) };
}
