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

const BATCH = 128;
const BYTES = 16;
const DIGITS = "0123456789abcdef";
let uuids = "";
let given = 0;

/**
 * A version 4 UUID (RFC 9562 section 5.4). They are made by the batch, and a piece of its text is all that one costs:
 * it is the dearest part of `requestContext` otherwise.
 */
export function randomUuid(): string {
  if (given === uuids.length) {
    uuids = makeUuids();
    given = 0;
  }
  const uuid = uuids.slice(given, given + 36);
  given += 36;
  return uuid;
}

function makeUuids(): string {
  const bytes = process.getBuiltinModule("node:crypto").randomBytes(BATCH * BYTES);
  const text = Buffer.allocUnsafe(BATCH * 36);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const place = i % BYTES;
    let byte = bytes[i]!;
    if (place === 6) byte = (byte & 0x0f) | 0x40; // the version
    if (place === 8) byte = (byte & 0x3f) | 0x80; // the variant
    if (place === 4 || place === 6 || place === 8 || place === 10) text[length++] = 45; // "-"
    text[length++] = DIGITS.charCodeAt(byte >> 4);
    text[length++] = DIGITS.charCodeAt(byte & 15);
  }
  return text.toString("latin1");
}
