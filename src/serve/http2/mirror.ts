/**
 * Express's prototypes for HTTP/2.
 *
 * `app.request` is an object whose chain ends in `http.IncomingMessage.prototype`: app, perhaps its parents,
 * `express.request`. A mirror is the same chain with another end. Each of its objects has the original's own
 * properties as accessors that ask the original, so that whatever is added or overwritten there is seen here at once;
 * only which names there are must be looked after (`refresh`).
 */
export interface Mirror {
  readonly original: object;
  /** Its `prototype` is the mirror, to be the prototype of HTTP/2 objects; they can also be made with it at once. */
  readonly Class: Constructor;
  readonly ends: Ends;
  names: readonly PropertyKey[];
  next: Mirror | undefined;
}

export type Constructor = new (...args: never[]) => object;

/** Where the chain of the originals ends, and what stands there in the mirror. */
export interface Ends {
  readonly original: object;
  readonly mirrored: object;
  /**
   * A new class that extends Node's. With a class, and no other constructor, V8 gives the objects as much room for
   * properties as Node's own have; without it they become dictionaries, twice as slow.
   */
  derive(): Constructor;
}

const NONE: readonly PropertyKey[] = [];
const mirrors = new WeakMap<object, Mirror>();

export function mirrorOf(original: object, ends: Ends): Mirror {
  let mirror = mirrors.get(original);
  if (mirror === undefined) {
    mirror = { original, Class: ends.derive(), ends, names: NONE, next: undefined };
    Object.setPrototypeOf(mirror.Class.prototype, ends.mirrored);
    mirrors.set(original, mirror);
    refresh(mirror);
  }
  return mirror;
}

/** Takes over what has changed in the names and in the chain. Once per request: it must be cheap if nothing has. */
export function refresh(mirror: Mirror): void {
  for (let one: Mirror | undefined = mirror; one !== undefined; one = one.next) {
    const next: object | null = Object.getPrototypeOf(one.original);
    if (next !== (one.next?.original ?? one.ends.original)) relink(one, next);
    const names = Reflect.ownKeys(one.original);
    if (!same(names, one.names)) redefine(one, names);
  }
}

function relink(mirror: Mirror, next: object | null): void {
  const isEnd = next === null || next === mirror.ends.original;
  mirror.next = isEnd ? undefined : mirrorOf(next, mirror.ends);
  Object.setPrototypeOf(mirror.Class.prototype, mirror.next?.Class.prototype ?? mirror.ends.mirrored);
}

function same(a: readonly PropertyKey[], b: readonly PropertyKey[]): boolean {
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

/** Reads and writes of an inherited property mean the same as if `original` itself stood in the chain. */
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
