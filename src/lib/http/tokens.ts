/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Whether the text is a token, as field names, methods and schemes are. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Whether it is a valid header value, which no recipient can read as two lines. */
export function isHeaderValue(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
}

/** RFC 9110 section 5.6.4: a quoted-string; the text must be a header value. */
export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

export interface ListBounds {
  /** Elements at most. */
  readonly elements: number;
  /** Empty elements at most: RFC 9110 section 5.6.1.2 asks for "a reasonable number". */
  readonly empty?: number;
}

/**
 * The tokens of a list header (RFC 9110 section 5.6.1), as they are written, or undefined if the value is not a list
 * of tokens, or is over the bounds. Linear in the value's length.
 */
export function tokenList(value: string, bounds: ListBounds): string[] | undefined {
  const tokens: string[] = [];
  let emptyLeft = bounds.empty ?? 16;
  let start = 0;
  while (start <= value.length) {
    const comma = value.indexOf(",", start);
    const end = comma === -1 ? value.length : comma;
    const element = trimOws(value, start, end);
    if (element === "") {
      if (value !== "" && --emptyLeft < 0) return undefined;
    } else if (tokens.length >= bounds.elements || !isToken(element)) {
      return undefined;
    } else {
      tokens.push(element);
    }
    start = end + 1;
  }
  return tokens;
}

/** Removes space and tab only: `trim` also removes characters that belong to a value, such as 0xA0. */
export function trimOws(value: string, from = 0, to = value.length): string {
  let start = from;
  let end = to;
  while (start < end && isOws(value.charCodeAt(start))) start++;
  while (end > start && isOws(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

export function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
