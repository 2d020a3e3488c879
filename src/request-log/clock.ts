let second = -1;
let prefix = "";

/** `new Date(now).toISOString()`, whose first twenty characters are the same for a whole second. */
export function isoTime(now: number): string {
  const whole = Math.floor(now / 1_000);
  if (whole !== second) {
    second = whole;
    prefix = new Date(whole * 1_000).toISOString().slice(0, 20);
  }
  const ms = now - whole * 1_000;
  return `${prefix}${ms < 10 ? "00" : ms < 100 ? "0" : ""}${ms}Z`;
}

/** To the microsecond: what is beyond that is noise. */
export function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
