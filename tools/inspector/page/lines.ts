/** The places of the values between two gaps: a line that has only one of them is not seen, so they are drawn as dots. */
export function lonely(values: ArrayLike<number | null | undefined>): number[] {
  const isThere = (i: number) => typeof values[i] === "number";
  return Array.from(values, (_, i) => i).filter((i) => isThere(i) && !isThere(i - 1) && !isThere(i + 1));
}

/** The next of 1, 2, 3, 5, 10, 20, 30, …: no value is above the top. */
export function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 5, 10].find((step) => step * power >= value)! * power;
}
