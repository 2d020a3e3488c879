/**
 * A copy of one of Express's prototypes, for HTTP/2.
 *
 * The prototype chain of `app.request` is: the app's own object, those of its parent apps, `express.request`,
 * `http.IncomingMessage.prototype`. The mirror of a chain has another last member. Each object in it has the properties
 * of its original as accessors, so that values that are changed on the original are seen at once. Only added and removed
 * names must be copied (`refresh`).
 */
export interface Mirror {
  readonly original: object;
  /** Its `prototype` is the mirror. It becomes the prototype of HTTP/2 objects, or they are created with this class. */
  readonly Class: Constructor;
  readonly end: ChainEnd;
  names: readonly PropertyKey[];
  next: Mirror | undefined;
}

export type Constructor = new (...args: never[]) => object;

/** The last prototype of the original chain, and its counterpart in the mirror. */
export interface ChainEnd {
  readonly original: object;
  readonly mirrored: object;
  /**
   * A new class that extends Node's. Only for a class does V8 give the objects as much room for properties as Node's own
   * have; with a plain constructor function they become dictionaries, which are twice as slow.
   */
  derive(): Constructor;
}

const NONE: readonly PropertyKey[] = [];
const mirrors = new WeakMap<object, Mirror>();

export function mirrorOf(original: object, end: ChainEnd): Mirror {
  let mirror = mirrors.get(original);
  if (mirror === undefined) {
    mirror = { original, Class: end.derive(), end, names: NONE, next: undefined };
    Object.setPrototypeOf(mirror.Class.prototype, end.mirrored);
    mirrors.set(original, mirror);
    refresh(mirror);
  }
  return mirror;
}

/** Copies changes of names and of the chain. Called for each request, so it must be cheap if nothing has changed. */
export function refresh(mirror: Mirror): void {
  for (let one: Mirror | undefined = mirror; one !== undefined; one = one.next) {
    const next: object | null = Object.getPrototypeOf(one.original);
    if (next !== (one.next?.original ?? one.end.original)) relink(one, next);
    const names = Reflect.ownKeys(one.original);
    if (!isSame(names, one.names)) redefine(one, names);
  }
}

function relink(mirror: Mirror, next: object | null): void {
  const isEnd = next === null || next === mirror.end.original;
  mirror.next = isEnd ? undefined : mirrorOf(next, mirror.end);
  Object.setPrototypeOf(mirror.Class.prototype, mirror.next?.Class.prototype ?? mirror.end.mirrored);
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

/** Accessors with which reads and writes work as if `original` itself were in the chain. */
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
