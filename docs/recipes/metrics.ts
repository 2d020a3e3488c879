import type { RequestHandler } from "express";

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Counts and times requests by method, route and status. `show` is for `/metrics`, in Prometheus's text format. */
export function requestMetrics(): { count: RequestHandler; show: RequestHandler } {
  const series = new Map<string, { requests: number; seconds: number }>();
  const count: RequestHandler = (req, res, next) => {
    const method = METHODS.has(req.method) ? req.method : "_OTHER";
    const began = performance.now();
    res.once("close", () => {
      const route = String(req.route?.path ?? ""); // the template: paths are chosen by clients
      const status = res.headersSent ? res.statusCode : 499; // the client left
      const labels = `{method="${method}",route=${JSON.stringify(route)},status="${status}"}`;
      const { requests, seconds } = series.get(labels) ?? { requests: 0, seconds: 0 };
      series.set(labels, { requests: requests + 1, seconds: seconds + (performance.now() - began) / 1_000 });
    });
    next();
  };
  const name = "http_request_duration_seconds";
  const linesOf = ([labels, { requests, seconds }]: [string, { requests: number; seconds: number }]) =>
    `${name}_count${labels} ${requests}\n${name}_sum${labels} ${seconds}\n`;
  const show: RequestHandler = (_req, res) => {
    const text = `# TYPE ${name} summary\n${[...series].map(linesOf).join("")}`;
    res.type("text/plain; version=0.0.4").send(text);
  };
  return { count, show };
}
