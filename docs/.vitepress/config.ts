import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitepress";
import { copyFiles, summaryOf, writeTexts } from "./llms.js";
import { extendMarkdown } from "./markdown.js";
import { SECTIONS } from "./pages.js";
import { slugOf } from "./slug.js";

const icon =
  "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><path fill='%234a6fd4' d='M2 10 16 2l14 8v3H2zM5 15h4v11H5zm9 0h4v11h-4zm9 0h4v11h-4zM2 27h28v3H2z'/></svg>";

export default defineConfig({
  title: "express-portico",
  description: "The middleware that every Express app needs, working together.",
  lang: "en",
  outDir: "../site",
  router: { prefetchLinks: false }, // it throws for links in an SVG: those of the order
  /** Where the site is served from: `/` or, on GitHub Pages, `/<repository>/`. */
  base: process.env.SITE_BASE ?? "/",
  srcExclude: ["**/node_modules/**"],
  head: [["link", { rel: "icon", href: `data:image/svg+xml,${icon}` }]],
  markdown: {
    anchor: { slugify: slugOf },
    toc: { slugify: slugOf },
    headers: { slugify: slugOf },
    config: extendMarkdown,
  },
  transformPageData: ({ filePath }, { siteConfig }) => ({
    description: summaryOf(readFileSync(join(siteConfig.srcDir, filePath), "utf8")),
  }),
  themeConfig: {
    search: { provider: "local" },
    outline: { level: [2, 3] },
    nav: [
      { text: "Guides", link: "/guides/start" },
      { text: "Coming from", link: "/migrating" },
      { text: "Reference", link: "/portico" },
      { text: "Types", link: "/api/", target: "_self" },
    ],
    sidebar: SECTIONS.map(({ title, pages }) => ({
      text: title,
      collapsed: false,
      items: pages.map(([text, page]) => ({ text, link: `/${page}` })),
    })),
  },
  buildEnd({ srcDir, outDir }) {
    writeTexts(srcDir, outDir);
    copyFiles(srcDir, outDir);
  },
});
