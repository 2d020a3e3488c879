/**
 * Lets others assign to `req.ip`, `req.query` and the like, as they can on Node's own request: the value becomes the
 * request's own property. Express has getters there with no setter, so that an assignment throws; and a server that makes its
 * requests with the app's prototype has them in upgrades too, which Express never sees.
 *
 * @param request the app's `request`; what somebody defines there later goes before this
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
        // An inherited one is asked each time: it may be replaced there later.
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
