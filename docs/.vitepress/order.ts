/** The picture of the order: each layer is a link to its page. */
interface Layer {
  readonly name: string;
  /** What it does there. Must fit beside the name: 30 characters. */
  readonly does: string;
  /** The page, from `docs/`. */
  readonly page: string;
  /** Not a middleware of this package. */
  readonly yours?: true;
}

export const LAYERS: readonly Layer[] = [
  { name: "serve", does: "connections, shutdown", page: "serve.md" },
  { name: "requestContext", does: "the request's id", page: "context.md" },
  { name: "requestLog", does: "a record of every response", page: "request-log.md" },
  { name: "metrics", does: "counts and times it", page: "metrics.md" },
  { name: "allowedHosts", does: "refuses other hosts", page: "allowed-hosts.md" },
  { name: "securityHeaders", does: "on errors and preflights too", page: "security-headers.md" },
  { name: "cors", does: "answers preflights", page: "cors.md" },
  { name: "csrf", does: "refuses forged requests", page: "csrf.md" },
  { name: "loadShed", does: "refuses what is too much", page: "load-shed.md" },
  { name: "cache", does: "answers what it has stored", page: "cache.md" },
  { name: "compress", does: "encodes the body", page: "compress.md" },
  { name: "timeout", does: "503 at the deadline", page: "timeout.md" },
  { name: "bodyLimit", does: "413 if the body is too long", page: "body-limit.md" },
  { name: "body parsers, sessions", does: "of other packages", page: "beside.md", yours: true },
  { name: "authenticate", does: "401 without credentials", page: "auth.md" },
  { name: "your routes", does: "chain, authorize on some", page: "chain.md", yours: true },
  { name: "notFound", does: "404, 405", page: "portico.md#notfound" },
  { name: "recover", does: "answers every error", page: "recover.md" },
];

const WIDTH = 360;
const BAR = 29;
const STEP = 33;
const TOP = 34;
const HEIGHT = TOP + LAYERS.length * STEP + 4;

/** Colours for where the site's style sheet does not reach: the file in `docs/images`, shown by an `<img>`. */
const STYLE = `<style>
.order { --order-text: #213547; --order-note: #5b6370; --order-line: #9aa3ad; --order-bar: #f1f3f6; --order-yours: #fff; }
@media (prefers-color-scheme: dark) {
  .order { --order-text: #e6e6ea; --order-note: #a8abb3; --order-line: #6b7280; --order-bar: #24262c; --order-yours: #16181d; }
}
</style>
`;

/** The picture as SVG. `hrefOf` makes a link of a page's path; `standalone` adds what a file of its own needs. */
export function orderPicture(hrefOf: (page: string) => string, standalone = false): string {
  const bottom = HEIGHT - 8;
  return `<svg class="order" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="group" aria-label="The order of the middleware, outermost first" font-family="system-ui, sans-serif">
${standalone ? STYLE : ""}<defs><marker id="order-head" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" fill="var(--order-line)"/></marker></defs>
<g font-size="12" fill="var(--order-note)"><text x="4" y="16">request</text><text x="${WIDTH - 4}" y="16" text-anchor="end">response</text></g>
<g fill="none" stroke="var(--order-line)" stroke-width="1.5" marker-end="url(#order-head)"><path d="M12 24V${bottom}"/><path d="M${WIDTH - 12} ${bottom}V28"/></g>
${LAYERS.map((layer, i) => bar(layer, TOP + i * STEP, hrefOf(layer.page))).join("\n")}
</svg>
`;
}

function bar({ name, does, yours }: Layer, y: number, href: string): string {
  const style = yours ? 'fill="var(--order-yours)" stroke-dasharray="4 3"' : 'fill="var(--order-bar)"';
  const middle = y + BAR / 2 + 4.5;
  return [
    `<a href="${href}"><rect x="24" y="${y}" width="${WIDTH - 48}" height="${BAR}" rx="6" ${style} stroke="var(--order-line)"/>`,
    `<text x="34" y="${middle}" font-size="13" font-weight="600" fill="var(--order-text)">${name}</text>`,
    `<text x="${WIDTH - 34}" y="${middle}" font-size="11.5" text-anchor="end" fill="var(--order-note)">${does}</text></a>`,
  ].join("");
}
