/** Compared instead of the secret itself: all of one length, and nothing of the secret stays in memory. */
export function digest(secret: string): Buffer {
  return process.getBuiltinModule("node:crypto").createHash("sha256").update(secret, "utf8").digest();
}

/**
 * The value whose secrets equal those given. All are compared, whichever matches and whether one does: how long it
 * takes says nothing.
 */
export function find<T>(
  entries: readonly { readonly digests: readonly Buffer[]; readonly value: T }[],
  given: readonly Buffer[],
): T | undefined {
  const { timingSafeEqual } = process.getBuiltinModule("node:crypto");
  let found: T | undefined;
  for (const { digests, value } of entries) {
    let equal = true;
    for (let i = 0; i < digests.length; i++) {
      const same = timingSafeEqual(digests[i]!, given[i]!);
      equal = same && equal;
    }
    if (equal) found = value;
  }
  return found;
}
