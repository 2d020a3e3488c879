import { posix } from "node:path";
import { PROJECT_PAGES } from "./pages.js";

/** A relative link of a page, where the file in the repository is elsewhere on the site; undefined if it is not there. */
export function linkFrom(page: string, href: string): string | undefined {
  if (/^(?:[a-z]+:|#|\/)/.test(href)) return href;
  const name = /^project\/(.+)\.md$/.exec(page)?.[1];
  const file = name === undefined ? `docs/${page}` : PROJECT_PAGES[name]!;
  const [path, hash = ""] = href.split(/(?=#)/);
  const target = posix.join(posix.dirname(file), path!);
  const project = Object.entries(PROJECT_PAGES).find(([, one]) => one === target)?.[0];
  if (project === undefined && !target.startsWith("docs/")) return undefined;
  const onSite = project === undefined ? target.replace(/^docs\//, "") : `project/${project}.md`;
  return posix.relative(posix.dirname(page), onSite) + hash;
}
