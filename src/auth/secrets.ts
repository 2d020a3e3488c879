/** Digests are compared instead of secrets: they have one length, and the secret itself need not stay in memory. */
export function digest(secret: string): Buffer {
  return process.getBuiltinModule("node:crypto").createHash("sha256").update(secret, "utf8").digest();
}

/** Finds the entry with the given digests. All entries are compared, also after a match, so that the time reveals nothing. */
export function findByDigests<T>(
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
