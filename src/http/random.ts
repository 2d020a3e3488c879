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

const UUID_CHARS = 36;
const UUIDS_AT_ONCE = 32;
const HEX = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
let uuids = "";
let uuidsUsed = 0;

/** A random UUID (RFC 9562 section 5.4). They are written many at a time: one by one takes Node five times as long. */
export function randomUuid(): string {
  if (uuidsUsed === uuids.length) {
    uuids = writeUuids();
    uuidsUsed = 0;
  }
  return uuids.slice(uuidsUsed, (uuidsUsed += UUID_CHARS));
}

function writeUuids(): string {
  const bytes = process.getBuiltinModule("node:crypto").randomBytes(16 * UUIDS_AT_ONCE);
  const text = Buffer.allocUnsafe(UUID_CHARS * UUIDS_AT_ONCE);
  let at = 0;
  for (let i = 0; i < bytes.length; i++) {
    const part = i & 15;
    if (part === 4 || part === 6 || part === 8 || part === 10) text[at++] = 0x2d;
    let byte = bytes[i]!;
    if (part === 6) byte = (byte & 0x0f) | 0x40; // the version
    if (part === 8) byte = (byte & 0x3f) | 0x80; // the variant
    text[at++] = HEX[byte >> 4]!;
    text[at++] = HEX[byte & 15]!;
  }
  return text.toString("latin1");
}
