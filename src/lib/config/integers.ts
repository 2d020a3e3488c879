/** The values that an option takes: whole numbers from `min` to `max`. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly unit?: string;
}

export function isWhole({ min, max }: Bounds, value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

/**
 * The problem of a value that is not one of them. If it is text that means a number (of an environment variable, `"1kb"`),
 * the problem names the number to write.
 */
export function notWhole(bounds: Bounds, value: unknown): string {
  const { min, max, unit } = bounds;
  const what = unit === undefined ? "a whole number" : `a whole number of ${unit}`;
  const named = numberIn(value, unit === "bytes");
  return `must be ${what} from ${min} to ${max}${isWhole(bounds, named) ? `; write ${named}` : ""}`;
}

const FACTORS = { "": 1, b: 1, kb: 1_024, mb: 1_048_576 };

function numberIn(value: unknown, isSize: boolean): number | undefined {
  const [, digits, factor = ""] =
    /^\s*(\d{1,15})\s*([km]?b)?\s*$/i.exec(typeof value === "string" ? value : "") ?? [];
  if (digits === undefined || (factor !== "" && !isSize)) return undefined;
  return Number(digits) * FACTORS[factor.toLowerCase() as keyof typeof FACTORS];
}
