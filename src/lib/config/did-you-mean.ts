/** The known name that was most likely meant, if one is similar enough. */
export function didYouMean(name: string, known: Iterable<string>): string | undefined {
  const wanted = fold(name);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1; // a third of the letters may be wrong
  if (wanted === "") return undefined;
  for (const candidate of known) {
    const known = fold(candidate);
    const distance = isShortened(wanted, known) ? 1 : editDistance(wanted, known, bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `Did you mean "x"?`; the other sentence if no known name is similar enough. */
export function suggestion(name: string, known: Iterable<string>, otherwise: string): string {
  const similar = didYouMean(name, known);
  return similar === undefined ? otherwise : `Did you mean "${similar}"?`;
}

/** `max` for `maxAge`: a shortened name counts as one edit. */
function isShortened(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= 3 && a !== b && (a.startsWith(b) || b.startsWith(a));
}

/** Ignores case, dashes and underscores, the most common mistakes. */
function fold(name: string): string {
  return name
    .slice(0, 64)
    .toLowerCase()
    .replace(/[-_\s]/g, "");
}

/** Damerau-Levenshtein, adjacent swaps as one edit; `limit` or more counts as `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, beforeLast[j - 2]! + 1);
      }
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return Math.min(last[b.length]!, limit);
}
