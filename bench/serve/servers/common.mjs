import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const ORIGINS = ["https://a.example", "https://b.example", "https://app.example"];
/** Takes the log, which every server formats and writes. */
export const swallow = { write: () => true };

export const SMALL = { hello: "world" };
export const LARGE = {
  items: Array.from({ length: 500 }, (_, id) => ({ id, name: `item ${id}`, text: "x".repeat(75) })),
};
export const CACHED = { items: LARGE.items.slice(0, 18) };
export const PAGE = `<!doctype html><title>page</title>${"<p>A line of the page, of some length.</p>\n".repeat(476)}`;

/** A folder with `file.txt`, of 10 KB. */
export function staticFolder() {
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  writeFileSync(join(folder, "file.txt"), "A line of the file, of some length.\n".repeat(284));
  process.on("exit", () => rmSync(folder, { recursive: true }));
  return folder;
}
