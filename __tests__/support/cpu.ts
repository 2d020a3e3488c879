/** For how many milliseconds this process has computed: what else a busy machine does is not counted. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
