import { timeout } from "../../../src/timeout/index.js";
import { Refusal } from "../edits.js";
import { staticValue } from "../static-value.js";
import { problemOf, type Translate } from "./options.js";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

export const translateTimeout: Translate = (source, call, around) => {
  const [duration, ...others] = call.arguments;
  if (others.length > 0) return new Refusal("respond: there is none, the answer is always sent");
  if (around.mentions(".timedout") || around.mentions(".clearTimeout("))
    return new Refusal(
      "req.timedout or req.clearTimeout is used: late answers are discarded here, and contextOf(req).signal aborts",
    );
  if (duration === undefined) return new Refusal("its milliseconds must be written here: timeout(5_000)");
  const value = staticValue(source, duration);
  const ms = typeof value === "string" ? millisecondsOf(value) : value;
  if (typeof ms !== "number") return new Refusal("its milliseconds are not written in this file");
  const problem = problemOf(() => timeout(ms));
  if (problem !== undefined) return new Refusal(problem);
  const edits = ms === value ? [] : [{ start: duration.start!, end: duration.end!, text: separated(ms) }];
  return {
    name: "timeout",
    edits,
    notes: ["the 503 at the deadline is sent here, and not by your error handler"],
  };
};

/** "5s", as the package ms reads it. */
function millisecondsOf(text: string): number | undefined {
  const [, digits, unit = "ms"] = /^(\d+(?:\.\d+)?) ?(ms|s|m|h)?$/i.exec(text.trim()) ?? [];
  return digits === undefined ? undefined : Number(digits) * UNITS[unit.toLowerCase()]!;
}

/** 5000 as 5_000. */
function separated(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, "_");
}
