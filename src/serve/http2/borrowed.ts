/** On HTTP/2 objects: their own methods, to call in place of those of HTTP/1.1. */
const HTTP2_METHODS: unique symbol = Symbol.for("express-portico.http2-methods") as never;

type Method = (this: object, ...args: unknown[]) => unknown;

/**
 * Makes `http.OutgoingMessage.prototype.setHeader.call(res, …)` and the like work on HTTP/2 objects. `cookies` and
 * `cookie-session` make such calls to bypass methods that others have replaced on the response. Node's methods store
 * headers in private fields, which an HTTP/2 response does not read. So they are replaced by methods that call the one of
 * `mirrored` on an HTTP/2 object, and Node's own on all others.
 *
 * @param prototypes those of HTTP/1.1, the most derived first
 * @param mirrored the object at the end of the prototype chains of HTTP/2 objects
 */
export function delegateMethods(prototypes: readonly object[], mirrored: object): void {
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
