/** An object with these members, none of them enumerable, and with `base` as its prototype. */
export function inherit(base: object, ...members: readonly object[]): object {
  const object = Object.create(base);
  for (const part of members) {
    for (const name of Reflect.ownKeys(part)) {
      const descriptor = Object.getOwnPropertyDescriptor(part, name)!;
      Object.defineProperty(object, name, { ...descriptor, enumerable: false });
    }
  }
  return object;
}

/** The getter of an inherited accessor. */
export function getterOf<This, Value>(prototype: object, name: string): (this: This) => Value {
  return Object.getOwnPropertyDescriptor(prototype, name)!.get as (this: This) => Value;
}
