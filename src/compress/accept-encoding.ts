/** Longer values are not parsed: no real client sends them. */
const MAX_LENGTH = 2_048;

/** A weight as in RFC 9110 section 12.4.2, but with any number of digits. */
const WEIGHT = /^(?:0(?:\.\d*)?|1(?:\.0*)?|\.\d+)$/;

/**
 * The weights in an Accept-Encoding (RFC 9110 section 12.5.3), from 0 to 1, by the encoding's name in lower case. Elements
 * with an invalid weight are ignored, as are values that are too long. Linear in the length of the value.
 */
export function weightsOf(value: string): Map<string, number> {
  const weights = new Map<string, number>();
  if (value.length > MAX_LENGTH) return weights;
  for (const element of value.split(",")) {
    const [first = "", ...parameters] = element.split(";");
    const name = first.trim().toLowerCase();
    const weight = weightIn(parameters);
    if (name === "" || weight === undefined) continue;
    const encoding = name === "x-gzip" ? "gzip" : name; // section 8.4.1.3
    weights.set(encoding, Math.max(weight, weights.get(encoding) ?? 0));
  }
  return weights;
}

/**
 * The offered encoding with the highest weight; of equal ones the first that is offered. Undefined if the client sends no
 * preference, refuses all of them, or prefers `identity`.
 */
export function preferredEncoding<T extends string>(value: string, offered: readonly T[]): T | undefined {
  const weights = weightsOf(value);
  const others = weights.get("*") ?? 0;
  let best: T | undefined;
  let bestWeight = 0;
  for (const encoding of offered) {
    const weight = weights.get(encoding) ?? others;
    if (weight > bestWeight) {
      best = encoding;
      bestWeight = weight;
    }
  }
  return bestWeight >= (weights.get("identity") ?? 0) ? best : undefined;
}

function weightIn(parameters: readonly string[]): number | undefined {
  for (const parameter of parameters) {
    const equals = parameter.indexOf("=");
    if (equals === -1 || parameter.slice(0, equals).trim().toLowerCase() !== "q") continue;
    const text = parameter.slice(equals + 1).trim();
    return WEIGHT.test(text) ? Number(text) : undefined;
  }
  return 1;
}

/** Real clients send few different values, so a small memory is enough. */
const MAX_REMEMBERED = 100;
const MAX_REMEMBERED_LENGTH = 200;

/** `preferredCoding` for one list of encodings, with a memory of recent values. */
export function chooser<T extends string>(
  offered: readonly T[],
): (value: string | undefined) => T | undefined {
  const known = new Map<string, T | undefined>();
  return (value) => {
    if (value === undefined || value === "") return undefined;
    const chosen = known.get(value);
    if (chosen !== undefined || known.has(value)) return chosen;
    const fresh = preferredEncoding(value, offered);
    if (value.length <= MAX_REMEMBERED_LENGTH) {
      if (known.size >= MAX_REMEMBERED) known.clear();
      known.set(value, fresh);
    }
    return fresh;
  };
}
