import fc from "fast-check";
import { parseHttpDate } from "../../../src/cache/rules/fields.js";

const NOW = Date.UTC(2026, 10, 21);

it.each<[string, number]>([
  ["Sun, 06 Nov 1994 08:49:37 GMT", Date.UTC(1994, 10, 6, 8, 49, 37)],
  ["Sunday, 06-Nov-94 08:49:37 GMT", Date.UTC(1994, 10, 6, 8, 49, 37)],
  ["Sun Nov  6 08:49:37 1994", Date.UTC(1994, 10, 6, 8, 49, 37)],
  ["Wed Nov 16 08:49:37 1994", Date.UTC(1994, 10, 16, 8, 49, 37)],
  ["Thu, 29 Feb 2024 00:00:00 GMT", Date.UTC(2024, 1, 29)],
  ["Sat, 31 Dec 2016 23:59:60 GMT", Date.UTC(2017, 0, 1)],
  ["Fri, 31 Dec 9999 23:59:59 GMT", Date.UTC(9999, 11, 31, 23, 59, 59)],
  // The day of the week is not checked.
  ["Thu Aug  8 02:01:18 2050", Date.UTC(2050, 7, 8, 2, 1, 18)],
])("reads %j", (text, time) => {
  expect(parseHttpDate(text, NOW)).toBe(time);
});

it.each<[string, number, number]>([
  ["Thursday, 18-Aug-50 02:01:18 GMT", NOW, 2050],
  ["Saturday, 21-Nov-76 00:00:00 GMT", NOW, 2076],
  ["Saturday, 21-Nov-76 00:00:01 GMT", NOW, 1976],
  ["Monday, 01-Jan-77 00:00:00 GMT", NOW, 1977],
  ["Monday, 01-Jan-26 00:00:00 GMT", NOW, 2026],
  ["Monday, 01-Jan-00 00:00:00 GMT", NOW, 2000],
  ["Monday, 01-Jan-10 00:00:00 GMT", Date.UTC(2090, 0, 1), 2110],
  ["Monday, 01-Jan-99 00:00:00 GMT", Date.UTC(2000, 0, 1), 1999],
])("reads %j at %p as of the year %p", (text, now, year) => {
  expect(new Date(parseHttpDate(text, now)!).getUTCFullYear()).toBe(year);
});

it.each([
  [""],
  ["0"],
  ["-1"],
  ["foo"],
  ["1994-11-06T08:49:37Z"],
  ["784111777"],
  ["THU, 18 Aug 2050 02:01:18 GMT"],
  ["Thu, 18 AUG 2050 02:01:18 GMT"],
  ["Thu, 18 Aug 2050 02:01:18 gMT"],
  ["Thu, 18 Aug 2050 02:01:18 UTC"],
  ["Thu, 18 Aug 2050 02:01:18 +0000"],
  ["Thu, 18 Aug 2050 02:01:18"],
  ["Thu, 18 Aug 50 02:01:18 GMT"],
  ["Thu 18 Aug 2050 02:01:18 GMT"],
  ["Thu, 18  Aug  2050 02:01:18 GMT"],
  ["Thu, 18-Aug-2050 02:01:18 GMT"],
  ["Thu, 18 Aug 2050 02.01.18 GMT"],
  ["Thu, 18 Aug 2050 2:01:18 GMT"],
  ["Thu, 8 Aug 2050 02:01:18 GMT"],
  ["Thu, 18 Aug 2050 24:00:00 GMT"],
  ["Thu, 18 Aug 2050 02:60:18 GMT"],
  ["Thu, 18 Aug 2050 02:01:61 GMT"],
  ["Thu, 00 Aug 2050 02:01:18 GMT"],
  ["Thu, 32 Aug 2050 02:01:18 GMT"],
  ["Wed, 29 Feb 2023 00:00:00 GMT"],
  ["Thu Feb 29 00:00:00 2023"],
  ["Thursday, 31-Feb-50 02:01:18 GMT"],
  ["Thu Aug 08 02:01:18 2050 GMT"],
  ["Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:19 GMT"],
  [" Thu, 18 Aug 2050 02:01:18 GMT"],
  ["Thu, 18 Aug 2050 02:01:18 GMT\n"],
])("refuses %j", (text) => {
  expect(parseHttpDate(text, NOW)).toBeUndefined();
});

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const instant = fc.date({ min: new Date("0000-01-01"), max: new Date("9999-12-31"), noInvalidDate: true });
const whole = (date: Date) => Math.floor(date.getTime() / 1000) * 1000;

it("reads what toUTCString writes, in any year", () => {
  fc.assert(
    fc.property(instant, (date) => {
      expect(parseHttpDate(date.toUTCString(), NOW)).toBe(whole(date));
    }),
  );
});

it("reads the C format, in any year", () => {
  fc.assert(
    fc.property(instant, (date) => {
      const [day, dd, month, year, time] = date.toUTCString().replace(",", "").split(" ");
      expect(parseHttpDate(`${day} ${month} ${String(Number(dd)).padStart(2)} ${time} ${year}`, NOW)).toBe(
        whole(date),
      );
    }),
  );
});

it("reads a two-digit year as at most 50 years ahead, and less than 50 years ago", () => {
  const near = fc.date({ min: new Date("1900-01-01"), max: new Date("2200-01-01"), noInvalidDate: true });
  fc.assert(
    fc.property(near, near, (date, now) => {
      const [, dd, month, year, time] = date.toUTCString().split(" ");
      const text = `${DAYS[date.getUTCDay()]}, ${dd}-${month}-${year!.slice(2)} ${time} GMT`;
      const read = parseHttpDate(text, now.getTime());
      // 29 February may not exist in that year.
      fc.pre(read !== undefined);
      const limit = new Date(now);
      limit.setUTCFullYear(now.getUTCFullYear() + 50);
      expect(read).toBeLessThanOrEqual(limit.getTime());
      expect(new Date(read!).getUTCFullYear() % 100).toBe(Number(year) % 100);
      const next = new Date(read!);
      next.setUTCFullYear(next.getUTCFullYear() + 100);
      expect(next.getTime()).toBeGreaterThan(limit.getTime());
    }),
  );
});

it("refuses what is not a way to write a date", () => {
  const chars = fc.constantFrom(..."SunMoThAg 0123456789:,-GMTfebAUG");
  fc.assert(
    fc.property(instant, fc.nat(28), chars, (date, at, char) => {
      const text = date.toUTCString();
      const changed = text.slice(0, at) + char + text.slice(at + 1);
      fc.pre(!changed.includes(":60 ")); // a leap second is read as the next minute
      const read = parseHttpDate(changed, NOW);
      if (read !== undefined) expect(new Date(read).toUTCString().slice(4, -7)).toBe(changed.slice(4, -7));
    }),
  );
});
