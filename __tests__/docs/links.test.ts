import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { LAYERS, orderPicture } from "../../docs/.vitepress/order.js";
import { PROJECT_PAGES, SECTIONS } from "../../docs/.vitepress/pages.js";
import { slugOf } from "../../docs/.vitepress/slug.js";
import { pages, root } from "../support/markdown.js";

const read = (page: string) => readFileSync(join(root, page), "utf8");
/** Links and headings in code are text. */
const withoutCode = (text: string) => text.replace(/^( *)```.*?^\1```$/gms, "");

/** What the headings of a page can be linked by. A second heading of the same text gets `-1`. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of withoutCode(read(page)).matchAll(/^#{1,6} (.*)$/gm)) {
    const slug = slugOf(heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1"));
    let anchor = slug;
    for (let i = 1; anchors.has(anchor); i++) anchor = `${slug}-${i}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** The relative links of a page as paths of the repository, and links within the page. */
function linksOf(page: string): string[] {
  const text = withoutCode(read(page)).replace(/(`+).*?\1/gs, (code) => (code.includes("](") ? "" : code));
  return [...text.matchAll(/\]\((?![a-z]+:)([^)\s]+)\)/g)].map(([, link]) => {
    const [path = "", hash] = link!.split("#");
    const file = path === "" ? page : join(dirname(page), path);
    return hash === undefined ? file : `${file}#${hash}`;
  });
}

const all = [...pages(), ...Object.values(PROJECT_PAGES)];

it.each(all)("every link of %s leads to a file, and to a heading in it", (page) => {
  const broken = linksOf(page).filter((link) => {
    const [file = "", hash] = link.split("#");
    if (!existsSync(join(root, file))) return true;
    return hash !== undefined && !(file.endsWith(".md") && anchorsOf(file).has(hash));
  });
  expect(broken).toEqual([]);
});

it("the links of pages are found, those with an anchor too", () => {
  const links = all.flatMap(linksOf);
  expect(links.length).toBeGreaterThan(400);
  expect(links).toEqual(
    expect.arrayContaining(["docs/cors.md", "docs/cors.md#coming-from-the-cors-package"]),
  );
});

it("every page of docs/ has a place in the site, once", () => {
  const placed = SECTIONS.flatMap((section) => section.pages.map(([, page]) => page));
  const project = Object.keys(PROJECT_PAGES).map((name) => `project/${name}.md`);
  const expected = pages()
    .filter((page) => page !== "README.md")
    .map((page) => relative("docs", page));
  expect(placed.sort()).toEqual([...expected, ...project].sort());
});

it("the picture of the order in docs/images is the one that the site draws", () => {
  expect(read("docs/images/order.svg")).toBe(orderPicture((page) => `../${page}`, true));
});

it("the picture has the layers of README's table, in its order", () => {
  const table = read("README.md").match(/## The order, and why\n.*?\n\n(?=Where)/s)![0];
  const inReadme = [...table.matchAll(/^\| \d+ \| (.*?) \|/gm)].flatMap(([, cell]) => {
    const names = [...cell!.matchAll(/\[`(\w+)`\]/g)].map(([, name]) => name!);
    return cell!.startsWith("your routes") ? ["your routes"] : names;
  });
  const ours = LAYERS.filter(({ name }) => name !== "serve" && !name.startsWith("body parsers"));
  expect(ours.map(({ name }) => name)).toEqual(inReadme);
});

it("each layer of the picture leads to a page, and its text fits", () => {
  for (const { name, does, page } of LAYERS) {
    const [file = "", hash] = page.split("#");
    expect(existsSync(join(root, "docs", file))).toBe(true);
    if (hash !== undefined) expect([...anchorsOf(`docs/${file}`)]).toContain(hash);
    expect(`${name} ${does}`.length).toBeLessThan(45);
  }
});
