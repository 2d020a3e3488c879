/** The positions of the first and the last byte, as in Content-Range. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const BYTES = /^bytes=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/i;

/**
 * The part of a body of `size` bytes that a Range field asks for (RFC 9110 section 14.1.2). Undefined stands for the
 * whole body: several ranges, other units, or not a range.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const parts = header === undefined ? null : BYTES.exec(header);
  if (parts === null) return undefined;
  const [, first, last, suffix] = parts;
  if (suffix !== undefined) {
    const length = Number(suffix);
    if (length === 0) return "unsatisfiable";
    // An empty body has no range: it is sent whole.
    return size === 0 ? undefined : { start: Math.max(0, size - length), end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Number(last);
  if (last !== "" && end < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end: Math.min(end, size - 1) };
}
