/** May be stored without an explicit lifetime, and are then validated at each use (RFC 9110 section 15.1). */
export const HEURISTIC_STATUSES: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
]);

/** The only statuses that `must-understand` allows to be stored (RFC 9111 section 5.2.2.3). */
export const UNDERSTOOD_STATUSES: ReadonlySet<number> = new Set([
  ...HEURISTIC_STATUSES,
  ...[201, 202, 205, 302, 303, 305, 307],
  ...[400, 401, 402, 403, 406, 407, 408, 409, 411, 413, 415, 417, 421, 422, 426, 451],
  ...[500, 502, 503, 504, 505],
]);

/**
 * Never stored, whatever their lifetime: 206, 304, 412 and 416 answer the request's own range or condition, and the
 * other statuses forbid it (RFC 6585 sections 3 to 6).
 */
export const NEVER_STORED_STATUSES: ReadonlySet<number> = new Set([206, 304, 412, 416, 428, 429, 431, 511]);
