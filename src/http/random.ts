const POOL_BYTES = 4_096;
let pool: Buffer | undefined;
let used = POOL_BYTES;

/**
 * Random bytes, as text. They are drawn from a pool that is filled now and then, for a call to the system for each
 * request costs more than the rest of what a concern does. No byte is given out twice.
 */
export function randomText(bytes: number, encoding: "hex" | "base64"): string {
  if (used + bytes > POOL_BYTES) {
    pool = process.getBuiltinModule("node:crypto").randomFillSync(pool ?? Buffer.allocUnsafeSlow(POOL_BYTES));
    used = 0;
  }
  const text = pool!.toString(encoding, used, used + bytes);
  used += bytes;
  return text;
}
