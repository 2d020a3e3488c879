/** On objects of HTTP/2 whose own methods are to run where those of HTTP/1.1 are called on them. */
const OWN: unique symbol = Symbol.for("express-portico.http2-methods") as never;

type Method = (this: object, ...args: unknown[]) => unknown;

/**
 * Some packages (`cookies`, `cookie-session`) call a method of `http.OutgoingMessage.prototype` on a response, to go
 * past what others have put on it. These methods keep headers in private fields, where no response of HTTP/2 looks. From
 * here on, one that is called on such a response is that of `mirrored`; all others get what they had.
 *
 * @param prototypes those of HTTP/1.1, the outermost first
 * @param mirrored the end of the prototypes of HTTP/2 objects
 */
export function lendMethods(prototypes: readonly object[], mirrored: object): void {
  Object.defineProperty(mirrored, OWN, { value: mirrored });
  for (const prototype of prototypes) {
    for (const name of Object.getOwnPropertyNames(prototype)) {
      const descriptor = Object.getOwnPropertyDescriptor(prototype, name)!;
      const { value: original, configurable, writable } = descriptor;
      if (name === "constructor" || typeof original !== "function" || !configurable || !writable) continue;
      if (typeof Reflect.get(mirrored, name, {}) !== "function") continue;
      Object.defineProperty(prototype, name, { ...descriptor, value: lent(name, original as Method) });
    }
  }
}

function lent(name: string, original: Method): Method {
  const method: Method = function (...args) {
    const own = (this as { [OWN]?: Record<string, Method> } | undefined)?.[OWN];
    return (own === undefined ? original : own[name]!).apply(this, args);
  };
  for (const key of ["name", "length"] as const) {
    Object.defineProperty(method, key, { value: original[key], configurable: true });
  }
  return method;
}
