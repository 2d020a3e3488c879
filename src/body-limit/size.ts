const FACTORS = { kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30, tb: 2 ** 40, pb: 2 ** 50 };

/**
 * The bytes that a text names, as the package `bytes` reads it: `100kb`, `1.5 MB`, `2048`, `2048b`. Units are powers of
 * 1,024, and bytes are rounded down. Undefined for what `bytes` would not read to its end.
 */
export function readSize(text: string): number | undefined {
  const [, whole] = /^([+-]?\d+) *b?$/i.exec(text) ?? [];
  if (whole !== undefined) return Number(whole);
  const [, count, unit] = /^([+-]?\d+(?:\.\d+)?) *([kmgtp]b)$/i.exec(text) ?? [];
  if (unit === undefined) return undefined;
  return Math.floor(Number(count) * FACTORS[unit.toLowerCase() as keyof typeof FACTORS]);
}
