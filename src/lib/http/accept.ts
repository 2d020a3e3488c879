import Negotiator from "negotiator"; // Accept's grammar and its precedence rules, kept by the Express team

/** Longer values are not worth the parsing: no client sends them in earnest. */
const MAX_ACCEPT_LENGTH = 2048;

/**
 * Which of the offered media types the client likes best (RFC 9110 section 12.5.1). Among equals, and for a client
 * that says nothing, or accepts none of them, the first: an error is answered in some form rather than with a 406.
 */
export function preferredType<T extends string>(
  accept: string | undefined,
  offered: readonly [T, ...T[]],
): T {
  if (accept === undefined || accept === "*/*" || accept.length > MAX_ACCEPT_LENGTH) return offered[0];
  const liked = new Negotiator({ headers: { accept: withoutParameters(accept) } }).mediaType([...offered]);
  return (liked as T | undefined) ?? offered[0];
}

/** `text/html;charset=utf-8` is a wish for HTML: of the parameters, only the weight says what is liked better. */
function withoutParameters(accept: string): string {
  return accept
    .split(",")
    .map((range) => {
      const [type = "", ...parameters] = range.split(";");
      const weight = parameters.find((parameter) => /^\s*q\s*=/i.test(parameter));
      return weight === undefined ? type : `${type};${weight}`;
    })
    .join(",");
}
