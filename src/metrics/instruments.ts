import type { Refusal } from "../lib/request/state.js";

/** The upper bounds of the histogram's buckets in seconds: those that OpenTelemetry's semantic conventions advise. */
export const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** The instruments by the names that OpenTelemetry gives them, or would give them. */
export const INSTRUMENTS = {
  duration: {
    name: "http.server.request.duration",
    unit: "s",
    description: "Duration of HTTP server requests.",
  },
  active: {
    name: "http.server.active_requests",
    unit: "{request}",
    description: "Number of active HTTP server requests.",
  },
  refused: {
    name: "portico.refused",
    unit: "{request}",
    description: "Requests that a middleware refused, by middleware and reason.",
  },
  cache: {
    name: "portico.cache",
    unit: "{request}",
    description: "Requests by what the cache did.",
  },
} as const;

type ReasonsOf<By extends Refusal["by"]> = Extract<Refusal, { by: By }>["reason"];

/** All reasons of all refusals. */
export const REASONS: { readonly [By in Refusal["by"]]: readonly ReasonsOf<By>[] } = {
  allowedHosts: ["missing", "malformed", "repeated", "not-listed"],
  cors: ["origin", "method", "header"],
  csrf: ["sec-fetch-site", "origin", "origin-null"],
  loadShed: ["limit", "queue", "delay"],
  timeout: ["deadline", "idle", "total"],
  bodyLimit: ["size", "time"],
  auth: [
    "missing",
    "malformed",
    "expired",
    "not-yet-valid",
    "bad-signature",
    "wrong-issuer",
    "wrong-audience",
    "scope",
    "rejected",
    "forbidden",
  ],
};

export const CACHE_RESULTS = ["hit", "stale", "miss", "bypass"] as const;

/** What is known of a request when it arrives. */
export interface Arrived {
  /** One of nine methods, or `_OTHER`. */
  readonly method: string;
  /** Read only if the recorder needs it. */
  readonly scheme: "http" | "https" | undefined;
}

/** What is known of it when its response has ended. An empty string or undefined: there is none. */
export interface Ended {
  readonly seconds: number;
  readonly route: string;
  readonly status: number;
  readonly errorType: string;
  readonly refused: Refusal | undefined;
  readonly cache: string | undefined;
}

/** Counts requests in the instruments of one registry or meter. */
export interface Recorder {
  readonly needsScheme: boolean;
  /** The value of `error_type` for an error. */
  readonly nameOfError: (error: unknown) => string;
  begin(arrived: Arrived): void;
  /** Called once for each call of `begin`. */
  end(arrived: Arrived, ended: Ended): void;
}
