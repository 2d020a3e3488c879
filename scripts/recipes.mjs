// Writes docs/recipes.md from docs/recipes/, so that the page shows the files that are tested:
//
//   node scripts/recipes.mjs
import { readFileSync, writeFileSync } from "node:fs";

const docs = new URL("../docs/", import.meta.url);
const recipes = [
  [
    "cors",
    "CORS for every origin",
    "`cors()` without options does the same, and also allows `Authorization` in a preflight. With `origin` it refuses other origins, sets `Vary` for caches, and keeps its headers on errors. See [cors](cors.md).",
  ],
  [
    "request-log",
    "A request log",
    "`requestLog()` writes JSON with the bytes sent, the route, the request's id and the error. It redacts secrets, and no client can break a line in two. See [request-log](request-log.md).",
  ],
  [
    "security-headers",
    "Five common headers",
    "`securityHeaders()` adds HSTS and `upgrade-insecure-requests` over TLS, nonces, and policies that are checked at start-up. Its headers stay on Express's own error pages. See [security-headers](security-headers.md).",
  ],
  [
    "recover",
    "Recovery",
    "`recover()` also answers a client that is still uploading, truncates a response that has begun with a reset that the client can see, removes headers that described the lost body, and sends problem details. See [recover](recover.md).",
  ],
  [
    "authorize",
    "The early return",
    "`authenticate()` identifies the caller and sends the right challenge. `authorize()` takes asynchronous predicates, fails closed, and answers a preflight that reaches it. See [auth](auth.md).",
  ],
  [
    "csrf",
    "Forged requests",
    "`csrf()` also trusts other origins of yours, reports only while you try it out, reads the host behind a proxy, keeps the method that the client sent, and says in the log why it refused. See [csrf](csrf.md).",
  ],
  [
    "allowed-hosts",
    "The hosts of an app",
    "`allowedHosts()` also knows patterns, ports, IPv6 and HTTP/2, refuses a malformed or repeated `Host`, and reads the host behind a proxy. See [allowedHosts](allowed-hosts.md).",
  ],
  [
    "method-not-allowed",
    "405 with Allow",
    "`notFound()` does it for every path, and reads the methods from the app's own routes. See [notFound](portico.md#notfound).",
  ],
  [
    "body-limit",
    "A limit of the body",
    "`bodyLimit()` fails the body for its reader with one error, discards what the handler sends later, reads on for a while so that the client can read the 413, and bounds the time too. See [body-limit](body-limit.md).",
  ],
  [
    "load-shed",
    "A limit of the requests in flight",
    "`loadShed()` finds the limit by itself, also sees synchronous work, frees a place when the head is sent (so downloads and event streams hold none), and can let requests wait in a queue. See [load-shed](load-shed.md).",
  ],
  [
    "health",
    "Readiness",
    "`health()` takes several checks, of which some may be optional, ignores late results, never has more than three runs open, and answers 503 while the server closes. See [health](health.md).",
  ],
  [
    "chain",
    "A chain",
    "`chain()` has types that add up, and `around` for code that runs after the response. See [chain](chain.md). Without either, an array of handlers does the same in Express.",
  ],
];

const sections = recipes.map(([file, title, more]) => {
  const code = readFileSync(new URL(`recipes/${file}.ts`, docs), "utf8").trim();
  return `## ${title}\n\n[docs/recipes/${file}.ts](recipes/${file}.ts)\n\n\`\`\`ts recipe\n${code}\n\`\`\`\n\nWhat the package adds: ${more}\n`;
});
writeFileSync(
  new URL("recipes.md", docs),
  `# Recipes\n\nEach recipe is one tested file to copy. It needs only Express's types, and is the simplest form of what the package does.\n\n${sections.join("\n")}`,
);
