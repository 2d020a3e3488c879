/** The first and the last byte, both included, as Content-Range writes them. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const BYTES = /^bytes=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/i;

/**
 * The part that a Range field asks for (RFC 9110 section 14.1.2) of a body of `size` bytes. Undefined: the whole
 * body, as for several ranges, other units, and what is no range.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const parts = header === undefined ? null : BYTES.exec(header);
  if (parts === null) return undefined;
  const [, first, last, suffix] = parts;
  if (suffix !== undefined) {
    const length = Number(suffix);
    if (length === 0) return "unsatisfiable";
    // The last bytes of nothing are all of it, and no range can say so.
    return size === 0 ? undefined : { start: Math.max(0, size - length), end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Number(last);
  if (last !== "" && end < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end: Math.min(end, size - 1) };
}
