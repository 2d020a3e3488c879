import type { Cluster } from "node:cluster";

/** Loaded on first use: importing it makes a worker listen to its primary. */
export function cluster(): Cluster {
  return process.getBuiltinModule("node:cluster") as unknown as Cluster;
}
