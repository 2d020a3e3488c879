import type { IncomingMessage, ServerResponse } from "node:http";
import { isEndOurs } from "../response/intercept.js";
import { isApp } from "./app.js";

/** A response of Express, with the members that `res.send` uses. */
interface ExpressResponse extends ServerResponse<ServedRequest> {
  readonly app: { readonly settings: Record<string, unknown> };
  json(value: unknown): this;
  send(body: unknown): this;
}
interface ServedRequest extends IncomingMessage {
  /** Express: whether the client's copy is still the same. */
  readonly fresh: boolean;
}
type Method = (this: ExpressResponse, ...args: unknown[]) => ExpressResponse;
type Methods = { readonly [name in Name]: Method };

const NAMES = ["json", "send", "set", "get", "type"] as const;
type Name = (typeof NAMES)[number];

/**
 * The first 12 hex digits of the SHA-1 of the source of the methods that this file replaces or relies on, in Express 4.18 to
 * 4.22 and 5.0 to 5.3. If one of them differs (a newer Express, a tracer that wraps it, a bundle), nothing is installed.
 */
const KNOWN: Readonly<Record<Name, readonly string[]>> = {
  json: ["247c6b97ccb5", "b6cc8643eb46"],
  send: ["90a773079814", "88eb4c81493e", "3a4b38c914ad", "6a3d019e6e05"],
  set: ["514a984047a3", "98c38c41ceb9"],
  get: ["195ae512329d"],
  type: ["465fda50f824", "c9a4cadba290"],
};
/** The same for Express's own `etag fn`. */
const KNOWN_ETAG = "8fce6d0daf40";

const JSON_TYPE = "application/json; charset=utf-8";
const HTML_TYPE = "text/html; charset=utf-8";
/** Types that `send` of Express leaves unchanged. */
const UTF8_TYPE = /^[a-z]+\/[a-z\d.+-]+; charset=utf-8$/;

/** If no ETag is needed, Express passes a string that is shorter than this to `end` without making a Buffer. */
const SHORT = 1_000;

/** Longer bodies stay a Buffer: joining head and body would copy them once more. */
const MAX_STRING = 32_768;

/** How many strings are kept for their ETag, and their greatest length: at most 1 MB, or 0.5 MB of Latin-1. */
const SLOTS = 8;
const MAX_KEPT = 65_536;

const seen = new WeakSet<object>();

/**
 * Gives the app's responses a faster `res.json` and `res.send`, for strings and for values that become JSON. The responses
 * are the same, byte for byte. It saves looking up media types, and the Buffer that Express makes for the ETag: with a
 * string, head and body are one write to the socket. Everything uncommon goes to Express's own methods.
 *
 * @param app the app that is served; apps that are mounted on it inherit the methods
 */
export function installFastSend(app: unknown): void {
  if (!isApp(app) || seen.has(app as object)) return;
  seen.add(app as object);
  const { response } = app as { readonly response?: object };
  if (typeof response !== "object" || response === null) return;
  const original = Object.getPrototypeOf(response) as Methods;
  if (NAMES.some((name) => Object.hasOwn(response, name))) return;
  if (!NAMES.every((name) => KNOWN[name].includes(hashOf(original[name])))) return;
  const { json: originalJson, send: originalSend, set, get, type } = original;
  const opaqueTagOf = opaqueTags();
  const nodeEnd = process.getBuiltinModule("node:http").ServerResponse.prototype.end;

  /**
   * Whether nobody has replaced these methods since: `send` and `json` on Express's prototype; `set`, `get` and `type` there,
   * on the app's, or on this response.
   */
  const isOriginal = (res: ExpressResponse): boolean =>
    original.send === originalSend &&
    original.json === originalJson &&
    (res as unknown as Methods).set === set &&
    (res as unknown as Methods).get === get &&
    (res as unknown as Methods).type === type;

  const json: Method = function json(value, ...more) {
    const { settings } = this.app;
    const isPlain = !settings["json replacer"] && !settings["json spaces"] && !settings["json escape"];
    if (more.length > 0 || !isPlain || !isOriginal(this)) return original.json.call(this, value, ...more);
    const body = JSON.stringify(value) as string | undefined;
    if (!this.getHeader("Content-Type")) this.setHeader("Content-Type", JSON_TYPE);
    return this.send === send && body !== undefined ? sendString(this, body) : this.send(body);
  };

  const send: Method = function send(body, ...more) {
    if (more.length > 0 || typeof body !== "string" || !isOriginal(this))
      return original.send.call(this, body, ...more);
    if (!this.getHeader("Content-Type")) this.setHeader("Content-Type", HTML_TYPE);
    return sendString(this, body);
  };

  const sendString = (res: ExpressResponse, body: string): ExpressResponse => {
    const { req } = res;
    const tag = res.getHeader("ETag") ? "none" : etagPrefixOf(res.app.settings["etag fn"]);
    if (!isCommon(res) || tag === undefined) return original.send.call(res, body);
    const length = Buffer.byteLength(body);
    res.setHeader("Content-Length", String(length));
    if (tag !== "none") res.setHeader("ETag", tag + opaqueTagOf(body, length));
    if (req.fresh) return original.send.call(res, body); // it makes the 304
    if (req.method === "HEAD") res.end();
    else if (tag === "none" && body.length < SHORT) res.end(body, "utf8");
    // Equal lengths: the body is ASCII, so latin1 gives the same bytes. An `end` that other code has put there gets a
    // Buffer, as it does from Express.
    else if (length === body.length && length <= MAX_STRING && isEndOurs(res, nodeEnd))
      res.end(body, "latin1");
    else res.end(Buffer.from(body));
    return res;
  };

  for (const [name, value] of Object.entries({ json, send })) {
    Object.defineProperty(response, name, { value, configurable: true, writable: true, enumerable: false });
  }
}

/** Whether the response needs only Content-Length and ETag. */
function isCommon(res: ServerResponse): boolean {
  const { statusCode } = res;
  if (statusCode === 204 || statusCode === 205 || statusCode === 304) return false;
  const type = res.getHeader("Content-Type");
  if (type !== JSON_TYPE && type !== HTML_TYPE && !(typeof type === "string" && UTF8_TYPE.test(type)))
    return false;
  return !res.headersSent && !res.hasHeader("Transfer-Encoding");
}

/**
 * ETags of strings, without the prefix, as the package `etag` makes them. The last string of each length modulo SLOTS is kept:
 * to compare an equal string costs a tenth of its SHA-1, which for a page of 20 KB is a third of the whole response (`npm run
 * bench:serve -- workloads`). A string that differs usually does so in its first characters.
 */
function opaqueTags(): (body: string, bytes: number) => string {
  const { hash } = process.getBuiltinModule("node:crypto");
  const bodies = new Array<string>(SLOTS).fill("");
  const tags = new Array<string>(SLOTS).fill(EMPTY_TAG);
  return (body, bytes) => {
    const slot = body.length % SLOTS;
    if (bodies[slot] === body) return tags[slot]!;
    const tag = `"${bytes.toString(16)}-${hash("sha1", body, "base64").slice(0, 27)}"`;
    if (body.length <= MAX_KEPT) {
      bodies[slot] = body;
      tags[slot] = tag;
    }
    return tag;
  };
}

let lastTagger: unknown;
let lastPrefix: string | undefined;

/**
 * The prefix of the app's ETags: `W/` for weak ones, the empty string for strong ones. "none" if the app makes no ETags;
 * undefined if it has an `etag fn` of its own.
 */
function etagPrefixOf(tagger: unknown): string | undefined {
  if (typeof tagger !== "function") return "none";
  if (tagger !== lastTagger) {
    lastTagger = tagger;
    // The weak and the strong function have the same source. The ETag of an empty body shows which one it is.
    lastPrefix =
      hashOf(tagger) === KNOWN_ETAG ? (tagger("") as string).slice(0, -EMPTY_TAG.length) : undefined;
  }
  return lastPrefix;
}

const EMPTY_TAG = '"0-2jmj7l5rSw0yVb/vlWAYkK/YBwk"';

function hashOf(method: unknown): string {
  const source = typeof method === "function" ? Function.prototype.toString.call(method) : "";
  return process.getBuiltinModule("node:crypto").hash("sha1", source, "hex").slice(0, 12);
}
