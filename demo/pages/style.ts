/** The look of both pages. */
export const style = `
  :root { color-scheme: light dark; --line: #8884; --accent: #2563eb; --good: #15803d; --bad: #b91c1c; }
  @media (prefers-color-scheme: dark) { :root { --accent: #93b4ff; --good: #4ade80; --bad: #f87171; } }
  body { font: 16px/1.55 system-ui, sans-serif; max-width: 54rem; margin: 2.5rem auto; padding: 0 1.25rem; }
  h1 { font-size: 1.7rem; margin-bottom: .25rem; }
  h2 { font-size: 1.1rem; margin: 2rem 0 .25rem; }
  p { margin: .35rem 0; }
  a { color: var(--accent); }
  pre { background: #8881; border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; white-space: pre-wrap; }
  code, pre { font: .875rem/1.5 ui-monospace, monospace; }
  table { border-collapse: collapse; width: 100%; margin-top: .75rem; table-layout: fixed; }
  td { overflow-wrap: anywhere; }
  th, td { border-bottom: 1px solid var(--line); text-align: left; padding: .45rem .6rem .45rem 0; vertical-align: top; }
  button { font: inherit; padding: .35rem .9rem; border-radius: .4rem; border: 1px solid var(--accent);
    background: none; color: var(--accent); cursor: pointer; }
  svg { width: 100%; height: auto; display: block; } svg[hidden] { display: none; }
  svg path { fill: none; stroke-width: 2; } #served { stroke: var(--good); } #refused { stroke: var(--bad); }
  svg line { stroke: var(--line); } svg text { font: 11px system-ui, sans-serif; fill: currentColor; text-anchor: end; dominant-baseline: middle; }
  .good { color: var(--good); } .bad { color: var(--bad); }
`;

export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
