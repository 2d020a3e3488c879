import { AssertionError } from "node:assert";
import { type Answer, header } from "./answer.js";
import type { Request } from "./client.js";

/** Request headers whose values may be printed: others may be credentials. */
const SHOWN_REQUEST = ["origin", "accept", "access-control-request-method", "access-control-request-headers"];
const SHOWN_ANSWER = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "vary",
  "cache-control",
  "content-type",
  "connection",
];

/** @param message what a browser or a client would see */
export function fail(message: string, request?: Request, answer?: Answer): never {
  const lines = [message];
  if (request !== undefined) lines.push(`  request: ${describeRequest(request)}`);
  if (answer !== undefined) lines.push(`  answer:  ${describeAnswer(answer)}`);
  throw new AssertionError({ message: lines.join("\n"), stackStartFn: fail });
}

function describeRequest({ method, path, headers }: Request): string {
  const shown = Object.entries(headers).map(([name, value]) =>
    SHOWN_REQUEST.includes(name.toLowerCase()) ? `${name}: ${value}` : `${name}: ...`,
  );
  return [`${method} ${path}`, ...shown].join("; ");
}

function describeAnswer(answer: Answer): string {
  const shown = SHOWN_ANSWER.flatMap((name) => {
    const value = header(answer, name);
    return value === undefined ? [] : [`${name}: ${value}`];
  });
  const end = answer.end === "truncated" ? ", truncated" : "";
  return [`${answer.status}`, ...shown, `${Buffer.byteLength(answer.body)} bytes of body${end}`].join("; ");
}
