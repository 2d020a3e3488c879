import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const root = join(__dirname, "../..");

export interface Block {
  /** Page and line: `docs/cors.md:12`. */
  readonly place: string;
  /** The info string after the backticks: `ts`, `sh`. */
  readonly info: string;
  readonly code: string;
  /** The last heading of level 2 before it. */
  readonly heading: string | undefined;
}

/** README and all pages in docs/, with those of its folders. */
export function pages(): string[] {
  const docs = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => /^[^.[]+\.md$/.test(file)); // neither .vitepress nor a template such as [page].md
  return ["README.md", ...docs.sort().map((file) => `docs/${file}`)];
}

/** The fenced code blocks of a page. */
export function blocks(page: string): Block[] {
  const text = readFileSync(join(root, page), "utf8");
  return [...text.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)].map((match) => ({
    place: `${page}:${text.slice(0, match.index).split("\n").length}`,
    info: match[1]!.trim(),
    code: match[2]!,
    heading: [...text.slice(0, match.index).matchAll(/^## (.*)$/gm)].at(-1)?.[1],
  }));
}
