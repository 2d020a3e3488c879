/** A list of words that is written in lines, with spaces between the words. */
export function words(...lines: readonly string[]): string[] {
  return lines.flatMap((line) => line.split(" "));
}
