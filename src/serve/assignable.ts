/**
 * Makes `req.ip`, `req.query` and the like assignable: the value becomes the request's own property. Express defines
 * getters without setters, so an assignment throws in strict mode. With the app's prototype on every request that would
 * also happen in upgrades, which Express never handles.
 *
 * @param request the app's `request`; properties that the app defines on it later replace these
 */
export function makeAssignable(request: object): void {
  const { IncomingMessage } = process.getBuiltinModule("node:http");
  let from: object | null = request;
  while (from !== null && from !== IncomingMessage.prototype) {
    for (const name of Object.getOwnPropertyNames(from)) {
      const { get, set, configurable, enumerable } = Object.getOwnPropertyDescriptor(from, name)!;
      if (get === undefined || set !== undefined) continue;
      const isOwn = from === request;
      if (isOwn ? !configurable : Object.hasOwn(request, name)) continue;
      Object.defineProperty(request, name, {
        configurable: true,
        enumerable: enumerable === true,
        // Read from the prototype each time: it may be replaced there later.
        get: isOwn
          ? get
          : function inherited(this: object) {
              return Reflect.get(Object.getPrototypeOf(request) as object, name, this);
            },
        set(this: object, value: unknown) {
          Object.defineProperty(this, name, { configurable: true, enumerable: true, writable: true, value });
        },
      });
    }
    from = Object.getPrototypeOf(from) as object | null;
  }
}
