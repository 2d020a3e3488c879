// Writes docs/recipes.md from the recipes themselves, so that what is shown is what is tested.
import { readFileSync, writeFileSync } from "node:fs";

const docs = new URL("../docs/", import.meta.url);
const recipes = [
  [
    "cors",
    "CORS, wide open",
    "`cors()` does the same and is right where this is not: a preflight that asks for `Authorization` is granted it, and with an `origin` it refuses the others, varies by it for caches, and keeps its headers on errors. See [cors](cors.md).",
  ],
  [
    "request-log",
    "A request log",
    "`requestLog()` adds JSON for machines, the bytes sent, the route, the request's id and the error; it redacts secrets, and no client can break a line in two. See [request-log](request-log.md).",
  ],
  [
    "security-headers",
    "Five common headers",
    "`securityHeaders()` adds HSTS and `upgrade-insecure-requests` on TLS only, nonces and policies checked at start-up, and stays on Express's own error pages. See [security-headers](security-headers.md).",
  ],
  [
    "recover",
    "Recovery",
    "`recover()` also answers a client that is still uploading, cuts what has begun with a reset that the client can see, drops headers of the lost body, and answers as problem details. See [recover](recover.md).",
  ],
  [
    "authorize",
    "The early return",
    "`authenticate()` says who is calling, with the right challenge; `authorize()` takes asynchronous predicates, fails closed, and ends a browser's preflight that came its way. See [auth](auth.md).",
  ],
  [
    "chain",
    "A chain",
    "In Express, an array of handlers does as much; this is for those who want one handler to pass around.",
  ],
];

const sections = recipes.map(([file, title, more]) => {
  const code = readFileSync(new URL(`recipes/${file}.ts`, docs), "utf8").trim();
  return `## ${title}\n\n\`\`\`ts recipe\n${code}\n\`\`\`\n\nWhat the package adds: ${more}\n`;
});
writeFileSync(
  new URL("recipes.md", docs),
  `# Recipes\n\nEach of these is one file to copy, with no dependency but Express's types. They are the plain form of what the\npackage does; [the files themselves](recipes/) are tested.\n\n${sections.join("\n")}`,
);
