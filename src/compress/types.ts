/** Compressible types other than `text/*` and those with a text suffix. */
const COMPRESSIBLE: ReadonlySet<string> = new Set([
  "application/dart",
  "application/ecmascript",
  "application/graphql",
  "application/javascript",
  "application/json",
  "application/json-seq",
  "application/json5",
  "application/jsonl",
  "application/jwk-set",
  "application/n-quads",
  "application/n-triples",
  "application/postscript",
  "application/rtf",
  "application/sql",
  "application/toml",
  "application/trig",
  "application/vnd.ms-fontobject",
  "application/wasm",
  "application/x-httpd-php",
  "application/x-javascript",
  "application/x-ndjson",
  "application/x-sh",
  "application/x-tar",
  "application/x-www-form-urlencoded",
  "application/x-yaml",
  "application/xml",
  "application/xml-dtd",
  "application/yaml",
  "font/collection",
  "font/otf",
  "font/ttf",
  "image/bmp",
  "image/vnd.microsoft.icon",
  "image/x-icon",
  "message/rfc822",
  "model/gltf-binary",
  "model/obj",
  "model/stl",
  "x-shader/x-fragment",
  "x-shader/x-vertex",
]);

/** Structured suffixes (RFC 6839 and others) of text formats. */
const TEXT_SUFFIX = /\+(?:json|xml|text|yaml|json-seq)$/;

const EVENT_STREAM = "text/event-stream";

/**
 * Whether bodies of this type get smaller by compression: text, JSON, XML, scripts, SVG, wasm and the like. Not images,
 * video, archives and woff2, which are compressed already, and not event streams, because events would wait in the encoder.
 *
 * @param type a Content-Type; parameters and case are ignored
 *
 * @example
 * isCompressible("application/problem+json; charset=utf-8"); // true
 *
 * @example
 * app.use(compress({ filter: (req, res) => req.path !== "/feed" && isCompressible(res.get("Content-Type")) }));
 */
export function isCompressible(type: string | undefined): boolean {
  if (type === undefined) return false;
  const essence = essenceOf(type);
  if (essence.startsWith("text/")) return essence !== EVENT_STREAM;
  return COMPRESSIBLE.has(essence) || TEXT_SUFFIX.test(essence);
}

export function isEventStream(type: string): boolean {
  return essenceOf(type) === EVENT_STREAM;
}

function essenceOf(type: string): string {
  const semicolon = type.indexOf(";");
  return (semicolon === -1 ? type : type.slice(0, semicolon)).trim().toLowerCase();
}
