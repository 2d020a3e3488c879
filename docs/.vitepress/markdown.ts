import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { renderMermaidSVG } from "beautiful-mermaid";
import type { MarkdownRenderer } from "vitepress";

type Token = ReturnType<MarkdownRenderer["parse"]>[number];

import { linkFrom } from "./links.js";
import { orderPicture } from "./order.js";

interface Env {
  /** Of the page, from `docs/`. */
  readonly relativePath: string;
}

/** What the site does to the pages beyond what GitHub does: links out of `docs/`, the clickable picture, diagrams. */
export function extendMarkdown(md: MarkdownRenderer): void {
  md.core.ruler.push("site", ({ tokens, env }) => {
    const page = (env as Env).relativePath;
    for (const token of tokens) {
      const children = token.children ?? [];
      for (const [i, child] of children.entries()) {
        const href = child.type === "link_open" ? child.attrGet("href") : null;
        if (href === null) continue;
        const link = linkFrom(page, href);
        if (link !== undefined) child.attrSet("href", link);
        else
          for (const end of [child, children.slice(i).find(({ type }) => type === "link_close")!])
            unlink(end);
      }
      const [only] = children;
      const image = children.length === 1 && only?.type === "image" ? only.attrGet("src") : null;
      if (!image?.endsWith(".svg")) continue;
      token.type = "html_block";
      token.content = image.endsWith("images/order.svg")
        ? orderPicture((target) => htmlFrom(page, target))
        : chart(posix.join(posix.dirname(page), image));
      token.children = null;
    }
  });

  const { fence } = md.renderer.rules;
  md.renderer.rules.fence = (tokens, i, options, env, self) => {
    const token = tokens[i]!;
    if (token.info.trim() === "mermaid") return diagram(token.content);
    if (token.info.trim() === "promql") token.info = "txt"; // Shiki has no grammar for it
    return fence!(tokens, i, options, env, self);
  };
}

/** Only the text of a link stays. */
function unlink(token: Token): void {
  Object.assign(token, { type: "text", content: "", attrs: null });
}

/** For HTML, in which VitePress leaves links as they are. */
function htmlFrom(page: string, target: string): string {
  return posix.relative(posix.dirname(page), target).replace(/\.md(?=$|#)/, ".html");
}

const DOCS = fileURLToPath(new URL("..", import.meta.url));

/** An SVG of bench/, inline: the site's style sheet sets its colours, and a reader's choice of dark or light is not the system's. */
function chart(file: string): string {
  const svg = withoutStyle(readFileSync(join(DOCS, file), "utf8"));
  return `${svg.replace(/>\s+</g, "><").trim()}\n`; // between elements Vue would look for text that HTML leaves out
}

/** An SVG with the site's colours. Vue's templates allow no `<style>`; the theme has what it said. */
function diagram(source: string): string {
  const svg = renderMermaidSVG(source, {
    bg: "var(--vp-c-bg)",
    fg: "var(--vp-c-text-1)",
    transparent: true,
  });
  return `<div class="diagram" v-pre>${withoutStyle(svg)}</div>\n`;
}

function withoutStyle(svg: string): string {
  return svg.replace(/<style>.*?<\/style>/gs, "");
}
