import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { copyFiles, writeTexts } from "../../docs/.vitepress/llms.js";
import { SECTIONS } from "../../docs/.vitepress/pages.js";
import { slugOf } from "../../docs/.vitepress/slug.js";
import { root } from "../support/markdown.js";

const docs = join(root, "docs");
const all = SECTIONS.flatMap(({ pages }) => pages);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "portico-llms-"));
  writeTexts(docs, folder);
  copyFiles(docs, folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (file: string) => readFileSync(join(folder, file), "utf8");
const withoutCode = (text: string) => text.replace(/^( *)```.*?^\1```$/gms, "");

/** The links of a text that are no addresses, from the folder that the text is in. */
function relativeLinks(text: string): string[] {
  const prose = withoutCode(text).replace(/(`+).*?\1/gs, (code) => (code.includes("](") ? "" : code));
  return [...prose.matchAll(/\]\((?![a-z]+:)([^)\s]+)\)/g)].map(([, link]) => link!);
}

/** Links that lead to no file that the site has, or to no heading of it. */
function broken(text: string, page: string): string[] {
  return relativeLinks(text).filter((link) => {
    const [path, hash] = link.split("#");
    const file = path === "" ? page : join(dirname(page), path!);
    if (file.startsWith("..") || !existsSync(join(folder, file))) return true;
    const headings = [...withoutCode(read(file)).matchAll(/^#{1,6} (.*)$/gm)].map(([, one]) =>
      slugOf(one!.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")),
    );
    return hash !== undefined && !headings.includes(hash.replace(/-\d+$/, "")) && !headings.includes(hash);
  });
}

it("llms.txt has a title, a summary, and a line for each page", () => {
  const index = read("llms.txt");
  expect(index).toMatch(/^# express-portico\n\n> [A-Z].*\.\n\n## Start\n\n- \[/);
  const lines = [...index.matchAll(/^- \[(.+)\]\((.+)\): (.+)$/gm)];
  expect(lines.map(([, name, page]) => [name, page])).toEqual(all);
  const bad = lines.filter(([, , , summary]) => !/^\S.{15,}\.$/.test(summary!));
  expect(bad.map(([line]) => line)).toEqual([]);
  expect(broken(index, "llms.txt")).toEqual([]);
});

it("llms-full.txt has the text of all pages in their order, and its links lead from its own place", () => {
  const full = read("llms-full.txt");
  const places = all.map(([, page]) => full.indexOf(`<!-- ${page} -->`));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(places[0]).toBe(0);
  expect(full).toContain(readFileSync(join(docs, "cors.md"), "utf8").match(/^## .*?```\n/ms)![0]);
  expect(full).toContain("](guides/spa-api.md)");
  expect(broken(full, "llms-full.txt")).toEqual([]);
  expect(relativeLinks(full).length).toBeGreaterThan(400);
});

it.each(
  all.map(([, page]) => page),
)("%s is there as Markdown: no dead link, no mark for the site or the tests", (page) => {
  const text = read(page);
  expect(text).toMatch(/^# \S/);
  expect(broken(text, page)).toEqual([]);
  const prose = withoutCode(text).replace(/(`+).*?\1/gs, "");
  expect(prose.match(/<!--|<\/?div|^---$|\{\{|^:::/gm)).toBeNull();
  const fences = [...text.matchAll(/^ *```(.*)$/gm)].map(([, info]) => info!);
  expect(fences.filter((info) => info.includes(" "))).toEqual([]);
  // The code is that of the page, line for line.
  const [section] = SECTIONS.filter(({ pages }) => pages.some(([, one]) => one === page));
  if (section === undefined || page.startsWith("project/")) return;
  const code = (one: string) =>
    [...one.matchAll(/^( *)```\w*.*?\n(.*?)^\1```$/gms)].map(([, , body]) => body);
  expect(code(text)).toEqual(code(readFileSync(join(docs, page), "utf8")));
});
