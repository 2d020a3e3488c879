/** A description of a thrown value. */
export interface Thrown {
  /** The class's name (`TypeError`), or the type of another value (`string`, `undefined`). */
  readonly type: string;
  readonly message: string;
  /** Includes the stacks of its causes. */
  readonly stack?: string | undefined;
}

const MAX_MESSAGE = 2_000;
const MAX_STACK = 16_000;
const MAX_CAUSES = 5;

/** Describes any thrown value; never throws itself, not even for a Proxy or a getter that throws. */
export function describeThrown(value: unknown): Thrown {
  if (typeof value !== "object" || value === null) {
    const message = typeof value === "function" ? "a function was thrown" : String(value);
    return { type: value === null ? "null" : typeof value, message: truncate(message, MAX_MESSAGE) };
  }
  const message = peek(value, "message");
  const isOfBody = peek(value, "type") === "entity.parse.failed"; // body parsers set it
  const shown = (text: string) => (isOfBody ? withoutQuote(text) : text);
  const stack = stackOf(value);
  return {
    type: typeName(value),
    message:
      typeof message === "string"
        ? truncate(shown(message), MAX_MESSAGE)
        : "a value that is not an Error was thrown",
    stack: stack && shown(stack),
  };
}

/** An error of `JSON.parse` quotes the text in its message: for a body parser, a part of the request's body. */
export function withoutQuote(text: string): string {
  return text.replace(/".* is not valid JSON/s, '"…" is not valid JSON');
}

/** Reads a property of anything: undefined if there is none, or if reading it throws. */
export function peek(value: unknown, key: PropertyKey): unknown {
  try {
    return (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}

/** Whether the value is an object with the property as its own; false if asking throws. */
export function hasOwn(value: unknown, key: PropertyKey): value is object {
  try {
    return typeof value === "object" && value !== null && Object.hasOwn(value, key);
  } catch {
    return false;
  }
}

/** An error for `next`: values that mean something else there (`undefined`, `"route"`) are wrapped in an Error. */
export function asError(value: unknown): unknown {
  if (typeof value === "object" && value !== null) return value;
  const { type, message } = describeThrown(value);
  return new Error(
    `a value that is not an Error was thrown: ${type === message ? type : `${type} ${message}`}`,
    {
      cause: value,
    },
  );
}

function typeName(value: object): string {
  const name = peek(value, "name");
  if (typeof name === "string" && name !== "") return truncate(name, 200);
  const className = peek(peek(value, "constructor"), "name");
  return typeof className === "string" && className !== "" ? truncate(className, 200) : "object";
}

function stackOf(value: object): string | undefined {
  const stacks: string[] = [];
  let current: unknown = value;
  for (let depth = 0; depth < MAX_CAUSES && typeof current === "object" && current !== null; depth++) {
    const stack = peek(current, "stack");
    if (typeof stack !== "string") break;
    stacks.push(depth === 0 ? stack : `caused by: ${stack}`);
    current = peek(current, "cause");
  }
  return stacks.length === 0 ? undefined : truncate(stacks.join("\n"), MAX_STACK);
}

function truncate(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}...` : text;
}

/** Whether a callback's result must be awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as PromiseLike<unknown>).then === "function"
  );
}

/** Calls `done` with what `call` returns or its promise is fulfilled with, or `failed` with what it throws or rejects with. */
export function whenSettled(
  call: () => unknown,
  done: (result: unknown) => void,
  failed: (error: unknown) => void,
): void {
  let result: unknown;
  let isPending: boolean;
  try {
    result = call();
    isPending = isThenable(result);
  } catch (error) {
    failed(error);
    return;
  }
  if (isPending) Promise.resolve(result).then(done, failed);
  else done(result);
}

/** Ignores a callback's promise: it is not awaited, and its rejection must not end the process. */
export function disregard(value: unknown): void {
  if (isThenable(value)) value.then(undefined, () => {});
}
