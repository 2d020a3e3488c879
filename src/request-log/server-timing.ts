import type { ServerResponse } from "node:http";

/**
 * Adds the time to the head to the response's Server-Timing, after metrics that are already there. The time for the
 * body is not known yet.
 *
 * @see https://www.w3.org/TR/server-timing/
 */
export function addServerTiming(res: ServerResponse, headMs: number): void {
  if (res.headersSent || res.statusCode < 200) return;
  const metric = `total;dur=${headMs.toFixed(1)}`;
  const present = res.getHeader("server-timing");
  const before = Array.isArray(present) ? present.join(", ") : present;
  res.setHeader("Server-Timing", before === undefined || before === "" ? metric : `${before}, ${metric}`);
}
