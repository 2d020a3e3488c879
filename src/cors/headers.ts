/** Request headers that scripts cannot set (Fetch, section 2.2.2: forbidden request-header). */
const FORBIDDEN_REQUEST_HEADERS = new Set(
  (
    "accept-charset accept-encoding access-control-request-headers access-control-request-method connection " +
    "content-length cookie cookie2 date dnt expect host keep-alive origin referer set-cookie te trailer " +
    "transfer-encoding upgrade via"
  ).split(" "),
);

const CORS_RESPONSE_HEADERS = new Set(
  (
    "access-control-allow-origin access-control-allow-credentials access-control-allow-methods " +
    "access-control-allow-headers access-control-max-age access-control-expose-headers"
  ).split(" "),
);

const CORS_REQUEST_HEADERS = new Set([
  "origin",
  "access-control-request-method",
  "access-control-request-headers",
]);

/** Why a name cannot be in `allowedHeaders`; undefined if it can. */
export function requestHeaderProblem(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (CORS_RESPONSE_HEADERS.has(lower)) return `has ${name}, which is a response header; take it out`;
  if (FORBIDDEN_REQUEST_HEADERS.has(lower) || /^(?:proxy-|sec-)/.test(lower)) {
    return `has ${name}, which no page can send, so browsers never ask for it; take it out`;
  }
  return undefined;
}

/** Why a name cannot be in `exposedHeaders`; undefined if it can. */
export function responseHeaderProblem(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (lower === "set-cookie" || lower === "set-cookie2")
    return `has ${name}, which no page can read; take it out`;
  if (CORS_REQUEST_HEADERS.has(lower)) return `has ${name}, which is a request header; take it out`;
  if (CORS_RESPONSE_HEADERS.has(lower))
    return `has ${name}, which only the browser itself reads; take it out`;
  return undefined;
}
