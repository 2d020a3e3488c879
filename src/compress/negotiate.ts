import type { ServerResponse } from "node:http";
import type { Request, Response } from "express";
import { addVary } from "../lib/http/vary.js";
import { reportFault } from "../lib/log/callback-faults.js";
import { isServed } from "../lib/request/transport.js";
import { words } from "../lib/values/words.js";
import type { Encoding } from "./encoders.js";

/** The options that decide whether and how a response is encoded. */
export interface NegotiationPlan {
  readonly filter: ((req: Request, res: Response) => boolean) | undefined;
  /** The encoding for an Accept-Encoding; `isServed` is false behind an adapter that has no server. */
  choose(accepted: string | undefined, isServed: boolean): Encoding | undefined;
}

/**
 * The encoding for this response, if its body turns out to be long enough; undefined: the response is not touched. Adds
 * Accept-Encoding to Vary if the response depends on it.
 */
export function negotiate(
  plan: NegotiationPlan,
  req: Request,
  res: Response,
  status: number,
): Encoding | undefined {
  if (status < 200 || status === 204 || status === 205) return undefined;
  if (isUntransformable(res)) return undefined;
  if (status === 304) {
    describeNotModified(plan, req, res);
    return undefined;
  }
  const type = textOf(res, "content-type");
  if (type === undefined || !mayBeEncoded(plan, req, res, type) || isEncoded(res)) return undefined;
  addVary(res, "Accept-Encoding");
  // A range is a part of the body without encoding.
  if (status === 206 || res.hasHeader("content-range")) return undefined;
  return plan.choose(req.headers["accept-encoding"], isServed(req, res));
}

function mayBeEncoded({ filter }: NegotiationPlan, req: Request, res: Response, type: string): boolean {
  if (filter === undefined) return isCompressible(type);
  if (!isCompressible(type) && !isEventStream(type)) return false;
  try {
    return (filter(req, res) as unknown) === true;
  } catch (fault) {
    reportFault(req, fault, "compress: the option filter threw");
    return false;
  }
}

/** RFC 9111 section 5.2.2.6: no-transform. */
function isUntransformable(res: ServerResponse): boolean {
  const control = textOf(res, "cache-control");
  return control !== undefined && /(?:^|,)[ \t]*no-transform[ \t]*(?:,|$)/i.test(control);
}

/** Whether the app has encoded or framed the body itself. */
function isEncoded(res: ServerResponse): boolean {
  if (res.hasHeader("transfer-encoding") || res.hasHeader("trailer")) return true;
  const encoding = textOf(res, "content-encoding");
  return encoding !== undefined && encoding.trim().toLowerCase() !== "identity";
}

/**
 * A 304 has the Vary and ETag of the 200 (RFC 9110 section 15.4.5), as far as they are known: the type may be missing. A
 * client that sends the weak ETag has the encoded body, and could not match it with the strong one.
 */
function describeNotModified(plan: NegotiationPlan, req: Request, res: Response): void {
  const type = textOf(res, "content-type");
  if (type !== undefined && !isCompressible(type)) return;
  addVary(res, "Accept-Encoding");
  const etag = textOf(res, "etag");
  const known = req.headers["if-none-match"];
  if (etag?.startsWith('"') !== true || known === undefined || !known.includes(`W/${etag}`)) return;
  if (plan.choose(req.headers["accept-encoding"], isServed(req, res)) !== undefined) weaken(res);
}

function textOf(res: ServerResponse, name: string): string | undefined {
  const value = res.getHeader(name);
  return value === undefined || typeof value === "string" ? value : String(value);
}

/** Makes the ETag weak: the encoded and the plain body have the same ETag but different bytes (RFC 9110 section 8.8.1). */
export function weaken(res: ServerResponse): void {
  const etag = res.getHeader("etag");
  if (typeof etag === "string" && etag.startsWith('"')) res.setHeader("ETag", `W/${etag}`);
}

/** Longer values are not parsed: no real client sends them. */
const MAX_LENGTH = 2_048;

/** A weight as in RFC 9110 section 12.4.2, but with any number of digits. */
const WEIGHT = /^(?:0(?:\.\d*)?|1(?:\.0*)?|\.\d+)$/;

/**
 * The weights in an Accept-Encoding (RFC 9110 section 12.5.3), from 0 to 1, by the encoding's name in lower case. Elements
 * with an invalid weight are ignored, as are values that are too long. Linear in the length of the value.
 */
export function weightsOf(value: string): Map<string, number> {
  const weights = new Map<string, number>();
  if (value.length > MAX_LENGTH) return weights;
  for (const element of value.split(",")) {
    const [first = "", ...parameters] = element.split(";");
    const name = first.trim().toLowerCase();
    const weight = weightIn(parameters);
    if (name === "" || weight === undefined) continue;
    const encoding = name === "x-gzip" ? "gzip" : name; // section 8.4.1.3
    weights.set(encoding, Math.max(weight, weights.get(encoding) ?? 0));
  }
  return weights;
}

/**
 * The offered encoding with the highest weight; of equal ones the first that is offered. Undefined if the client sends no
 * preference, refuses all of them, or prefers `identity`.
 */
export function preferredEncoding<T extends string>(value: string, offered: readonly T[]): T | undefined {
  const weights = weightsOf(value);
  const others = weights.get("*") ?? 0;
  let best: T | undefined;
  let bestWeight = 0;
  for (const encoding of offered) {
    const weight = weights.get(encoding) ?? others;
    if (weight > bestWeight) {
      best = encoding;
      bestWeight = weight;
    }
  }
  return bestWeight >= (weights.get("identity") ?? 0) ? best : undefined;
}

function weightIn(parameters: readonly string[]): number | undefined {
  for (const parameter of parameters) {
    const equals = parameter.indexOf("=");
    if (equals === -1 || parameter.slice(0, equals).trim().toLowerCase() !== "q") continue;
    const text = parameter.slice(equals + 1).trim();
    return WEIGHT.test(text) ? Number(text) : undefined;
  }
  return 1;
}

/** Real clients send few different values, so a small memory is enough. */
const MAX_REMEMBERED = 100;
const MAX_REMEMBERED_LENGTH = 200;

/** `preferredEncoding` for one list of encodings; it remembers recent values. */
export function chooser<T extends string>(
  offered: readonly T[],
): (value: string | undefined) => T | undefined {
  const known = new Map<string, T | undefined>();
  return (value) => {
    if (value === undefined || value === "") return undefined;
    const chosen = known.get(value);
    if (chosen !== undefined || known.has(value)) return chosen;
    const fresh = preferredEncoding(value, offered);
    if (value.length <= MAX_REMEMBERED_LENGTH) {
      if (known.size >= MAX_REMEMBERED) known.clear();
      known.set(value, fresh);
    }
    return fresh;
  };
}

/** Compressible types other than `text/*` and those with a text suffix. */
const COMPRESSIBLE: ReadonlySet<string> = new Set(
  words(
    "application/dart application/ecmascript application/graphql application/javascript",
    "application/json application/json-seq application/json5 application/jsonl application/jwk-set",
    "application/n-quads application/n-triples application/postscript application/rtf application/sql",
    "application/toml application/trig application/vnd.ms-fontobject application/wasm",
    "application/x-httpd-php application/x-javascript application/x-ndjson application/x-sh",
    "application/x-tar application/x-www-form-urlencoded application/x-yaml application/xml",
    "application/xml-dtd application/yaml font/collection font/otf font/ttf image/bmp",
    "image/vnd.microsoft.icon image/x-icon message/rfc822 model/gltf-binary model/obj model/stl",
    "x-shader/x-fragment x-shader/x-vertex",
  ),
);

/** Structured suffixes (RFC 6839 and others) of text formats. */
const TEXT_SUFFIX = /\+(?:json|xml|text|yaml|json-seq)$/;

const EVENT_STREAM = "text/event-stream";

/**
 * Whether bodies of this type get smaller by compression: text, JSON, XML, scripts, SVG, wasm and the like. Not images,
 * video, archives and woff2, which are compressed already, and not event streams, because events would wait in the encoder.
 *
 * @param type a Content-Type; parameters and case are ignored
 *
 * @example
 * isCompressible("application/problem+json; charset=utf-8"); // true
 *
 * @example
 * app.use(compress({ filter: (req, res) => req.path !== "/feed" && isCompressible(res.get("Content-Type")) }));
 */
export function isCompressible(type: string | undefined): boolean {
  if (type === undefined) return false;
  const essence = essenceOf(type);
  if (essence.startsWith("text/")) return essence !== EVENT_STREAM;
  return COMPRESSIBLE.has(essence) || TEXT_SUFFIX.test(essence);
}

export function isEventStream(type: string): boolean {
  return essenceOf(type) === EVENT_STREAM;
}

function essenceOf(type: string): string {
  const semicolon = type.indexOf(";");
  return (semicolon === -1 ? type : type.slice(0, semicolon)).trim().toLowerCase();
}
