type Named = Record<string, unknown>;

/** Calls `found` when a property is next read. Returns what undoes it, and leaves the property with its value. */
export function whenRead(target: object, name: string, found: () => void): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name);
  if (own !== undefined && (!own.configurable || !("value" in own))) return () => {};
  const inherited: unknown = Reflect.get(target, name);
  const restore = (value: unknown, isSet: boolean) => {
    if (own === undefined && !isSet) delete (target as Named)[name];
    else Object.defineProperty(target, name, { ...(own ?? PLAIN), value });
  };
  let isArmed = true;
  const disarm = (value: unknown, isSet: boolean) => {
    if (!isArmed) return;
    isArmed = false;
    restore(value, isSet);
  };
  Object.defineProperty(target, name, {
    configurable: true,
    enumerable: own?.enumerable ?? false,
    get() {
      disarm(inherited, false);
      found();
      return inherited;
    },
    set: (value: unknown) => disarm(value, true),
  });
  return () => disarm(inherited, false);
}

const PLAIN = { configurable: true, enumerable: true, writable: true };
