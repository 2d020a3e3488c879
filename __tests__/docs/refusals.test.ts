import { readFileSync } from "node:fs";
import { join } from "node:path";
import { REASONS } from "../../src/metrics/instruments.js";

// The pages that list why a request was refused have all middleware, and all their reasons.

const folder = join(__dirname, "../../docs");

it.each(["request-log.md", "metrics.md"])("%s lists every reason of a refusal", (page) => {
  const [, table] = readFileSync(join(folder, page), "utf8").split("| `by` | `reason` |\n| --- | --- |\n");
  const rows = table!.split("\n\n")[0]!.split("\n");
  const listed = rows.map((row) => {
    const [, by, reasons] = /^\| `(\w+)` \| (.+) \|$/.exec(row)!;
    const withoutNotes = reasons!.replace(/\([^)]*\)/g, "").replace(/: of .*/, "");
    return [by, [...withoutNotes.matchAll(/`([\w-]+)`/g)].map(([, reason]) => reason)];
  });
  expect(Object.fromEntries(listed)).toEqual(REASONS);
});
