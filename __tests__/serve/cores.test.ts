import { availableParallelism } from "node:os";
import { availableCores } from "../../src/serve/cluster.js";

type Files = Readonly<Record<string, string>>;

const V1 = "12:pids:/a\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/a\n";

it.each<[what: string, cores: number, files: Files, workers: number]>([
  ["no control groups at all (macOS, Windows)", 8, {}, 8],
  [
    "version 2 without a limit",
    8,
    { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n" },
    8,
  ],
  [
    "version 2 with two cores",
    8,
    { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "200000 100000\n" },
    2,
  ],
  [
    "a limit above the cores",
    2,
    { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "800000 100000\n" },
    2,
  ],
  [
    "two and a half cores keep two busy",
    8,
    { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "250000 100000\n" },
    2,
  ],
  [
    "half a core is one process",
    8,
    { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "50000 100000\n" },
    1,
  ],
  [
    "a hundredth of a core is one process",
    8,
    { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "1000 100000\n" },
    1,
  ],
  ["another period", 8, { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "30000 10000\n" }, 3],
  [
    "a limit without its period",
    8,
    { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "300000\n" },
    3,
  ],
  [
    "the limit of a group of its own",
    8,
    { "/proc/self/cgroup": "0::/kube/pod\n", "/sys/fs/cgroup/kube/pod/cpu.max": "300000 100000\n" },
    3,
  ],
  [
    "the limit of a group above",
    8,
    {
      "/proc/self/cgroup": "0::/kube/pod/app\n",
      "/sys/fs/cgroup/kube/cpu.max": "400000 100000\n",
      "/sys/fs/cgroup/kube/pod/app/cpu.max": "max 100000\n",
    },
    4,
  ],
  [
    "the tightest of several",
    8,
    {
      "/proc/self/cgroup": "0::/a/b\n",
      "/sys/fs/cgroup/a/cpu.max": "200000 100000\n",
      "/sys/fs/cgroup/a/b/cpu.max": "500000 100000\n",
    },
    2,
  ],
  [
    "a group named as the host knows it, mounted as the root",
    8,
    {
      "/proc/self/cgroup": "0::/../../system.slice/docker-1.scope\n",
      "/sys/fs/cgroup/cpu.max": "150000 100000\n",
    },
    1,
  ],
  [
    "a colon in a group's name",
    8,
    { "/proc/self/cgroup": "0::/a:b\n", "/sys/fs/cgroup/a:b/cpu.max": "300000 100000\n" },
    3,
  ],
  [
    "version 1 without a limit",
    8,
    {
      "/proc/self/cgroup": V1,
      "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
    },
    8,
  ],
  [
    "version 1 with three cores",
    8,
    {
      "/proc/self/cgroup": V1,
      "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "300000\n",
      "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
    },
    3,
  ],
  [
    "version 1 within its container",
    8,
    {
      "/proc/self/cgroup": V1,
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    },
    2,
  ],
  [
    "both versions: the one that has the cpu controller",
    8,
    {
      "/proc/self/cgroup": `${V1}0::/\n`,
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    },
    2,
  ],
  [
    "version 1 where another controller's name begins with cpu",
    8,
    {
      "/proc/self/cgroup": "3:cpuset:/a\n",
      "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "100000",
      "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
    },
    8,
  ],
  ["nonsense", 8, { "/proc/self/cgroup": "nonsense\n0::\n\n", "/sys/fs/cgroup/cpu.max": "many few\n" }, 8],
  ["an empty file", 8, { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "" }, 8],
  ["nothing at all", 8, { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "0 100000\n" }, 8],
])("%s", (_what, cores, files, workers) => {
  expect(availableCores(cores, (path) => files[path])).toBe(workers);
});

it("on this machine: at least one, at most what the system reports", () => {
  expect(availableCores()).toBeGreaterThanOrEqual(1);
  expect(availableCores()).toBeLessThanOrEqual(availableParallelism());
});
