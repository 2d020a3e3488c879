import { trimOws } from "../../lib/http/tokens.js";
import type { HeaderList } from "../../lib/response/snapshot.js";

/** The values of a field, one for each line; `name` in lower case. */
export function linesOf(headers: HeaderList, name: string): string[] {
  const lines: string[] = [];
  for (let i = 0; i < headers.length; i++) {
    const [written, value] = headers[i]!;
    if (written.length !== name.length || written.toLowerCase() !== name) continue;
    if (typeof value === "object") lines.push(...value);
    else lines.push(String(value));
  }
  return lines;
}

/** The lines of a field as one value (RFC 9110 section 5.3); undefined if there is none. */
export function fieldOf(headers: HeaderList, name: string): string | undefined {
  const lines = linesOf(headers, name);
  if (lines.length === 0) return undefined;
  return trimOws(lines.length === 1 ? lines[0]! : lines.join(", "));
}

/** The elements of a list field on all its lines, without empty ones. */
export function listOf(headers: HeaderList, name: string): string[] {
  return linesOf(headers, name)
    .flatMap((line) => line.split(","))
    .map((element) => trimOws(element))
    .filter((element) => element !== "");
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
const MONTH = `(${MONTHS.join("|")})`;
const TIME = "([01]\\d|2[0-3]):([0-5]\\d):([0-5]\\d|60)";

/** The three formats of RFC 9110 section 5.6.7: case-sensitive, with exactly these spaces. */
const IMF = new RegExp(`^${DAY}, (\\d\\d) ${MONTH} (\\d{4}) ${TIME} GMT$`);
const RFC850 = new RegExp(`^${LONG_DAY}, (\\d\\d)-${MONTH}-(\\d\\d) ${TIME} GMT$`);
const ASCTIME = new RegExp(`^${DAY} ${MONTH} ([ \\d]\\d) ${TIME} (\\d{4})$`);

/**
 * An HTTP date as milliseconds since the epoch; undefined if it is not one. `now` decides the century of a two-digit
 * year: at most 50 years in the future. The day of the week is not checked.
 */
export function parseHttpDate(text: string, now: number): number | undefined {
  const imf = IMF.exec(text);
  if (imf !== null) return utc(Number(imf[3]), imf[2], imf[1], imf[4], imf[5], imf[6]);
  const asctime = ASCTIME.exec(text);
  if (asctime !== null) {
    return utc(Number(asctime[6]), asctime[1], asctime[2], asctime[3], asctime[4], asctime[5]);
  }
  const old = RFC850.exec(text);
  if (old === null) return undefined;
  const latest = new Date(now);
  const year = latest.getUTCFullYear() + 50;
  latest.setUTCFullYear(year);
  let full = year - ((year - Number(old[3])) % 100);
  let time = utc(full, old[2], old[1], old[4], old[5], old[6]);
  if (time !== undefined && time > latest.getTime()) {
    full -= 100;
    time = utc(full, old[2], old[1], old[4], old[5], old[6]);
  }
  return time;
}

type Part = string | undefined;

function utc(
  year: number,
  monthName: Part,
  day: Part,
  hours: Part,
  minutes: Part,
  seconds: Part,
): number | undefined {
  const month = MONTHS.indexOf(monthName!);
  const date = new Date(0);
  date.setUTCFullYear(year, month, Number(day)); // Date.UTC adds 1900 to years before 100
  if (date.getUTCDate() !== Number(day)) return undefined; // the month does not have this day
  return date.setUTCHours(Number(hours), Number(minutes), Number(seconds));
}
