import type { Cluster } from "node:cluster";
import type { CloseReport } from "./options.js";

/** Loaded on first use: importing it makes a worker listen to its primary. */
export function cluster(): Cluster {
  return process.getBuiltinModule("node:cluster") as unknown as Cluster;
}

/** Messages from a worker to its primary. `server` is the number of the program's `serve` call: 0 for the first. */
export type FromWorker =
  | { readonly type: "listening"; readonly server: number; readonly url: string }
  | {
      readonly type: "failed";
      readonly server: number;
      readonly message: string;
      readonly code: string | undefined;
    }
  /** This server closes, for whatever reason. If the primary has not asked for it, the worker's successor may start. */
  | { readonly type: "closing"; readonly server: number }
  | { readonly type: "closed"; readonly server: number; readonly report: Omit<CloseReport, "error"> }
  /** Its last message. Once the primary has answered, no connection is on its way to the worker. */
  | { readonly type: "leaving" };

export type FromPrimary =
  /** `stays`: the worker has other servers to open, and must not end when it has none for a while. */
  | { readonly type: "close"; readonly server: number; readonly stays: boolean }
  | { readonly type: "released" };

const KEY = "express-portico";

/** Marks a message as ours: messages of the program use the same channel. */
export function wrap<T extends FromWorker | FromPrimary>(message: T): object {
  return { [KEY]: message };
}

export function unwrap<T extends FromWorker | FromPrimary>(message: unknown): T | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  return (message as { [KEY]?: T })[KEY];
}

/** Reads a small text file; undefined if there is none. */
type Read = (path: string) => string | undefined;

/**
 * How many processes can run at the same time: the cores of the machine, or fewer under a container's CPU quota (which
 * Node 20 does not take into account).
 */
export function availableCores(
  cores: number = process.getBuiltinModule("node:os").availableParallelism(),
  read: Read = readFile,
): number {
  return Math.max(1, Math.min(cores, Math.floor(quota(read))));
}

/** The CPU quota in cores; infinite without one. The lowest quota of the group and of its parents counts. */
function quota(read: Read): number {
  let least = Number.POSITIVE_INFINITY;
  for (const line of (read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isV2 = controllers === "";
    if (path === "" || !(isV2 || controllers.split(",").includes("cpu"))) continue;
    const root = isV2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    for (const folder of withParents(path)) {
      least = Math.min(least, (isV2 ? quotaV2 : quotaV1)(read, root + folder));
    }
  }
  return least;
}

/** "/a/b" and its parents. Inside a container the group's own folder is often mounted as the root. */
function withParents(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return ["", ...parts.map((_, i) => `/${parts.slice(0, i + 1).join("/")}`)];
}

function quotaV2(read: Read, folder: string): number {
  const [max, period] = (read(`${folder}/cpu.max`) ?? "max").trim().split(/\s+/);
  return toCores(max, period);
}

function quotaV1(read: Read, folder: string): number {
  return toCores(read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`));
}

function toCores(quota: string | undefined, period: string | undefined): number {
  const cores = Number(quota) / Number(period ?? 100_000);
  return cores > 0 ? cores : Number.POSITIVE_INFINITY; // "max", -1 and unreadable values are no limit
}

function readFile(path: string): string | undefined {
  try {
    return process.getBuiltinModule("node:fs").readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
