import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { linkFrom } from "./links.js";
import { PROJECT_PAGES, SECTIONS } from "./pages.js";

/** The first sentence after the page's title, as plain text. */
export function summaryOf(markdown: string): string {
  const paragraphs = markdown
    .replace(/^---\n.*?\n---\n/s, "")
    .replace(/^```.*?^```$/gms, "")
    .split(/\n\s*\n/);
  const first = paragraphs.find((text) => /^\s*[\p{L}`*[]/u.test(text)) ?? "";
  const text = first
    .replace(/\s+/g, " ")
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[`*]/g, "")
    .trim();
  return /^.*?[.:](?= [A-Z]|$)/.exec(text)?.[0].replace(/:$/, ".") ?? text;
}

/**
 * Writes `llms.txt` (llmstxt.org: an index with a line for each page), `llms-full.txt` (the text of all pages) and each
 * page as Markdown beside its HTML.
 */
export function writeTexts(docs: string, outDir: string): void {
  const index = [`# express-portico\n\n> ${summaryOf(readFileSync(join(docs, "index.md"), "utf8"))}\n`];
  const full: string[] = [];
  for (const { title, pages } of SECTIONS) {
    const lines = pages.map(([name, page]) => {
      const text = plain(sourceOf(docs, page), (href) => linkFrom(page, href));
      full.push(
        `<!-- ${page} -->\n\n${plain(text, (href) => (isRelative(href) ? fromRoot(page, href) : href))}`,
      );
      mkdirSync(dirname(join(outDir, page)), { recursive: true });
      writeFileSync(join(outDir, page), text);
      return `- [${name}](${page}): ${summaryOf(text)}`;
    });
    index.push(`## ${title}\n\n${lines.join("\n")}\n`);
  }
  writeFileSync(join(outDir, "llms.txt"), index.join("\n"));
  writeFileSync(join(outDir, "llms-full.txt"), full.join("\n\n"));
}

function sourceOf(docs: string, page: string): string {
  const name = /^project\/(.+)\.md$/.exec(page)?.[1];
  return readFileSync(join(docs, name === undefined ? page : join("..", PROJECT_PAGES[name]!)), "utf8");
}

/** A page without what only the site or the tests need. `linkOf` changes its links; one that it has nothing for becomes text. */
function plain(source: string, linkOf: (href: string) => string | undefined): string {
  const [, ...parts] = source
    .replace(/^---\n.*?\n---\n+/s, "")
    .split(/^/m)
    .reduce(byCode, [""]);
  const texts = parts.map((part) => {
    if (/^ *```/.test(part)) return part.replace(/^( *```\w+) .*/, "$1");
    return part
      .replace(/<!--.*?-->\n?|^<\/?div[^>]*>\n/gms, "")
      .replace(/(`+).*?\1|(!?\[(?:`[^`]*`|[^\]`])*\])\(([^)\s]+)\)/gs, (whole, _code, label, href) => {
        if (label === undefined) return whole;
        const link = linkOf(href);
        return link === undefined ? label.replace(/^!?\[(.*)\]$/s, "$1") : `${label}(${link})`;
      });
  });
  return `${texts.join("").trim()}\n`;
}

/** Splits lines into blocks of code and what is between them. The first part is empty. */
function byCode(parts: string[], line: string): string[] {
  const last = parts.at(-1)!;
  const fence = /^ *```/.exec(last)?.[0];
  const isInCode = fence !== undefined && !last.slice(fence.length).includes(`\n${fence}\n`);
  const isNew = !isInCode && (fence !== undefined || parts.length === 1 || /^ *```/.test(line));
  return isNew ? [...parts, line] : [...parts.slice(0, -1), last + line];
}

function isRelative(href: string): boolean {
  return !/^(?:[a-z]+:|\/)/.test(href);
}

function fromRoot(page: string, href: string): string {
  return href.startsWith("#") ? page + href : posix.join(posix.dirname(page), href);
}

/** Folders whose files pages link to. */
const FILES = ["images", "integrations", "production", "recipes"];

/** Copies the files that pages link to, and that are no pages. */
export function copyFiles(docs: string, outDir: string): void {
  for (const folder of FILES) cpSync(join(docs, folder), join(outDir, folder), { recursive: true });
}
