import type { Http2ServerRequest } from "node:http2";
import { requestMembers } from "./request.js";
import { responseMembers } from "./response.js";
import { bodyMembers, informationMembers } from "./response-body.js";

/**
 * A copy of one of Express's prototypes, for HTTP/2.
 *
 * The prototype chain of `app.request` is: the app's own object, those of its parent apps, `express.request`,
 * `http.IncomingMessage.prototype`. The mirror has another last prototype. Each object before it has the properties of its
 * original as accessors, so that values that are changed on the original are seen at once. Only added and removed names
 * must be copied (`refresh`).
 */
export interface Mirror {
  readonly original: object;
  /** `Class.prototype` is the mirror. HTTP/2 objects get it as their prototype, or are created with `Class`. */
  readonly Class: Constructor;
  readonly base: Base;
  names: readonly PropertyKey[];
  next: Mirror | undefined;
}

export type Constructor = new (...args: never[]) => object;

/** The last prototype of the originals, which is Node's own, and its counterpart in the mirrors. */
export interface Base {
  readonly original: object;
  readonly mirrored: object;
  /**
   * A new class that extends Node's. It must be a class: V8 then gives its objects as much room for properties as Node's own
   * have. Objects of a plain constructor function become dictionaries, which are twice as slow.
   */
  derive(): Constructor;
}

const NONE: readonly PropertyKey[] = [];
const mirrors = new WeakMap<object, Mirror>();

export function mirrorOf(original: object, base: Base): Mirror {
  let mirror = mirrors.get(original);
  if (mirror === undefined) {
    mirror = { original, Class: base.derive(), base, names: NONE, next: undefined };
    Object.setPrototypeOf(mirror.Class.prototype, base.mirrored);
    mirrors.set(original, mirror);
    refresh(mirror);
  }
  return mirror;
}

/**
 * Updates the mirror after names were added or removed, or the prototype chain has changed. Called for each request, so it
 * must be cheap if nothing has changed.
 */
export function refresh(mirror: Mirror): void {
  for (let one: Mirror | undefined = mirror; one !== undefined; one = one.next) {
    const next: object | null = Object.getPrototypeOf(one.original);
    if (next !== (one.next?.original ?? one.base.original)) relink(one, next);
    const names = Reflect.ownKeys(one.original);
    if (!isSame(names, one.names)) redefine(one, names);
  }
}

function relink(mirror: Mirror, next: object | null): void {
  const isEnd = next === null || next === mirror.base.original;
  mirror.next = isEnd ? undefined : mirrorOf(next, mirror.base);
  Object.setPrototypeOf(mirror.Class.prototype, mirror.next?.Class.prototype ?? mirror.base.mirrored);
}

function isSame(a: readonly PropertyKey[], b: readonly PropertyKey[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function redefine(mirror: Mirror, names: readonly PropertyKey[]): void {
  const { original, Class } = mirror;
  for (const name of mirror.names) Reflect.deleteProperty(Class.prototype, name);
  for (const name of names) Object.defineProperty(Class.prototype, name, forward(original, name));
  mirror.names = names;
}

/** Accessors with which reads and writes work as if `original` itself were in the mirror. */
function forward(original: object, name: PropertyKey): PropertyDescriptor {
  const { get, set, writable, enumerable } = Object.getOwnPropertyDescriptor(original, name)!;
  const isReadable = get !== undefined || set === undefined;
  const isWritable = set !== undefined || writable === true;
  return {
    configurable: true,
    enumerable: enumerable === true,
    ...(isReadable && {
      get(this: object) {
        return Reflect.get(original, name, this);
      },
    }),
    ...(isWritable && {
      set(this: object, value: unknown) {
        Reflect.set(original, name, value, this);
      },
    }),
  };
}

interface Bases {
  readonly request: Base;
  readonly response: Base;
  /** Node's class of HTTP/2 requests, and its accessor of their `url`. */
  readonly Request: typeof Http2ServerRequest;
  readonly url: Required<Pick<PropertyDescriptor, "get" | "set">>;
}

let made: Bases | undefined;

/** For HTTP/1.1 the last prototypes are Node's own; in mirrors they are our extensions of Node's for HTTP/2. */
export function bases(): Bases {
  made ??= make();
  return made;
}

function make(): Bases {
  const http = process.getBuiltinModule("node:http");
  const http2 = process.getBuiltinModule("node:http2");
  const { prototype } = http2.Http2ServerRequest;
  const request = inherit(prototype, requestMembers(prototype));
  const { prototype: responses } = http2.Http2ServerResponse;
  const response = inherit(
    responses,
    responseMembers(responses),
    bodyMembers(responses),
    informationMembers(responses),
  );
  delegateMethods([http.IncomingMessage.prototype], request);
  delegateMethods([http.ServerResponse.prototype, http.OutgoingMessage.prototype], response);
  return {
    Request: http2.Http2ServerRequest,
    url: Object.getOwnPropertyDescriptor(prototype, "url") as Bases["url"],
    request: {
      original: http.IncomingMessage.prototype,
      mirrored: request,
      derive: () => class Http2ServerRequest extends http2.Http2ServerRequest {},
    },
    response: {
      original: http.ServerResponse.prototype,
      mirrored: response,
      derive: () => class Http2ServerResponse extends http2.Http2ServerResponse {},
    },
  };
}

/** An object with these members, none of them enumerable, and with `base` as its prototype. */
function inherit(base: object, ...members: readonly object[]): object {
  const object = Object.create(base);
  for (const part of members) {
    for (const name of Reflect.ownKeys(part)) {
      const descriptor = Object.getOwnPropertyDescriptor(part, name)!;
      Object.defineProperty(object, name, { ...descriptor, enumerable: false });
    }
  }
  return object;
}

/** On HTTP/2 objects: their own methods, to call in place of those of HTTP/1.1. */
const HTTP2_METHODS: unique symbol = Symbol.for("express-portico.http2-methods") as never;

type Method = (this: object, ...args: unknown[]) => unknown;

/**
 * Makes `http.OutgoingMessage.prototype.setHeader.call(res, …)` and the like work on HTTP/2 objects. `cookies` and
 * `cookie-session` make such calls to bypass methods that others have replaced on the response. Node's methods store
 * headers in private fields, which an HTTP/2 response does not read. So each is replaced: on an HTTP/2
 * object it calls the method of `mirrored`, on any other object Node's own.
 *
 * @param prototypes those of HTTP/1.1, the most derived first
 * @param mirrored the last prototype of the mirrors
 */
function delegateMethods(prototypes: readonly object[], mirrored: object): void {
  Object.defineProperty(mirrored, HTTP2_METHODS, { value: mirrored });
  for (const prototype of prototypes) {
    for (const name of Object.getOwnPropertyNames(prototype)) {
      const descriptor = Object.getOwnPropertyDescriptor(prototype, name)!;
      const { value: original, configurable, writable } = descriptor;
      if (name === "constructor" || typeof original !== "function" || !configurable || !writable) continue;
      if (typeof Reflect.get(mirrored, name, {}) !== "function") continue;
      Object.defineProperty(prototype, name, { ...descriptor, value: delegating(name, original as Method) });
    }
  }
}

function delegating(name: string, original: Method): Method {
  const method: Method = function (...args) {
    const methods = (this as { [HTTP2_METHODS]?: Record<string, Method> } | undefined)?.[HTTP2_METHODS];
    return (methods === undefined ? original : methods[name]!).apply(this, args);
  };
  for (const key of ["name", "length"] as const) {
    Object.defineProperty(method, key, { value: original[key], configurable: true });
  }
  return method;
}
