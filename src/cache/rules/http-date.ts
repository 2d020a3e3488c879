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
 * An HTTP date as milliseconds since the epoch; undefined if it is not one. `now` settles the century of a two-digit
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
