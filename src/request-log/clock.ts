let second = -1;
let prefix = "";

/** Same as `new Date(now).toISOString()`, but the first twenty characters are kept for a whole second. */
export function isoTime(now: number): string {
  const whole = Math.floor(now / 1_000);
  if (whole !== second) {
    second = whole;
    prefix = new Date(whole * 1_000).toISOString().slice(0, 20);
  }
  const ms = now - whole * 1_000;
  return `${prefix}${ms < 10 ? "00" : ms < 100 ? "0" : ""}${ms}Z`;
}

/** Rounds to the microsecond; finer digits are noise. */
export function roundMs(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
