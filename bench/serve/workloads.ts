import type { Exchange } from "./loopback.js";

const ORIGIN = { origin: "https://app.example" };
const JSON_2K = JSON.stringify({
  items: Array.from({ length: 20 }, (_, id) => ({ id, text: "x".repeat(80) })),
});

/** What is asked of the servers. Their routes are in the folder `servers`. */
export const WORKLOADS = {
  "small JSON": { method: "GET", path: "/", headers: ORIGIN, status: 200 },
  "56 KB of JSON": { method: "GET", path: "/large", headers: ORIGIN, status: 200 },
  "an HTML page of 20 KB": { method: "GET", path: "/page", headers: ORIGIN, status: 200 },
  "a static file of 10 KB": { method: "GET", path: "/static/file.txt", headers: ORIGIN, status: 200 },
  "a POST of 2 KB of JSON": {
    method: "POST",
    path: "/items",
    headers: { ...ORIGIN, "content-type": "application/json" },
    body: JSON_2K,
    status: 200,
  },
  "a preflight": {
    method: "OPTIONS",
    path: "/",
    headers: {
      ...ORIGIN,
      "access-control-request-method": "PUT",
      "access-control-request-headers": "content-type",
    },
    status: 204,
  },
  "a cache hit of 2 KB of JSON": { method: "GET", path: "/cached", headers: ORIGIN, status: 200 },
  "a 401": { method: "GET", path: "/private", headers: ORIGIN, status: 401 },
} as const satisfies Record<string, Exchange>;

export type Workload = keyof typeof WORKLOADS;
