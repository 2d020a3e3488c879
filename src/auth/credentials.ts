export interface UserPass {
  readonly user: string;
  readonly password: string;
}

let utf8: InstanceType<typeof TextDecoder> | undefined;

/** Reads Basic credentials (RFC 7617, section 2); undefined if they are malformed. */
export function readUserPass(encoded: string): UserPass | undefined {
  const bytes = Buffer.from(encoded, "base64");
  // Node skips what is not base64: encode again to see that nothing was skipped.
  if (encoded === "" || bytes.toString("base64").replace(/=+$/, "") !== encoded.replace(/=+$/, ""))
    return undefined;
  if (!/^[^=]*={0,2}$/.test(encoded)) return undefined;
  let text: string;
  try {
    utf8 ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    text = utf8.decode(bytes);
  } catch {
    return undefined;
  }
  const colon = text.indexOf(":");
  if (colon === -1 || /[\x00-\x1f\x7f]/.test(text)) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
