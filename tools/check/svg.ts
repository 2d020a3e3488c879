import { isFault } from "./check.js";
import type { Finding, PipelineNode } from "./types.js";
import { labelOf } from "./walk.js";

const ROW = 34;
const BOX = 24;
const INDENT = 28;
const WIDTH = 460;
const MARGIN = 90;
const TOP = 56;

/** These act on the response too. */
const ON_THE_WAY_UP = new Set(["log", "compress", "cache", "securityHeaders", "session", "timeout", "cors"]);

interface Row {
  readonly node: PipelineNode;
  readonly depth: number;
}

/** Draws the pipeline: the request goes down on the left, the response comes up on the right. */
export function pipelineSvg(app: PipelineNode, findings: readonly Finding[]): string {
  const rows: Row[] = [];
  const visit = (node: PipelineNode, depth: number): void => {
    for (const child of node.children) {
      rows.push({ node: child, depth });
      visit(child, depth + 1);
    }
  };
  visit(app, 0);
  const deepest = Math.max(0, ...rows.map(({ depth }) => depth));
  const right = MARGIN + WIDTH + deepest * INDENT;
  const width = right + MARGIN;
  const bottom = TOP + rows.length * ROW;
  const height = bottom + 40;
  const worst = new Map<string, Finding>();
  for (const one of findings.toReversed()) worst.set(one.at.split(" ")[0]!, one);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" role="img">`,
    "<title>The way down and the way up</title>",
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#57606a"/></marker></defs>',
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(MARGIN / 2, 30, "request", "middle"),
    text(right + MARGIN / 2, 30, "response", "middle"),
    arrow(MARGIN / 2, TOP - 14, bottom),
    arrow(right + MARGIN / 2, bottom, TOP - 14),
    ...rows.map((row, i) => box(row, TOP + i * ROW, right, worst.get(row.node.index))),
    "</svg>",
    "",
  ].join("\n");
}

function box({ node, depth }: Row, y: number, right: number, found: Finding | undefined): string {
  const x = MARGIN + depth * INDENT;
  const isError = node.kind === "error handler";
  const stroke = found === undefined ? "#8c959f" : isFault(found) ? "#cf222e" : "#bf8700";
  const fill = FILLS[node.kind];
  const middle = y + BOX / 2;
  const label = `${node.index}  ${labelOf(node)}${isError ? " (error handler)" : ""}`;
  const note = found?.rule ?? (node.unseen === undefined ? "" : "not seen");
  const way = [`<path d="M${MARGIN / 2} ${middle}H${x - 3}" stroke="#8c959f" stroke-dasharray="2 3"/>`];
  if (node.kind === "route" || ON_THE_WAY_UP.has(node.concern ?? "")) {
    way.push(
      `<path d="M${right} ${middle}H${right + MARGIN / 2 - 3}" stroke="#8c959f" stroke-dasharray="2 3"/>`,
    );
  }
  return [
    `<g><title>${escapeXml(found?.message ?? node.unseen ?? `${labelOf(node)} at ${node.path}`)}</title>`,
    ...way,
    `<rect x="${x}" y="${y}" width="${right - x}" height="${BOX}" rx="4" fill="${fill}" stroke="${stroke}"${isError ? ' stroke-dasharray="5 3"' : ""}/>`,
    text(x + 10, y + 17, shorten(label, 58)),
    note === "" ? "" : text(right - 10, y + 17, note, "end", stroke),
    "</g>",
  ].join("");
}

const FILLS: Readonly<Record<PipelineNode["kind"], string>> = {
  middleware: "#f6f8fa",
  "error handler": "#fff1e5",
  router: "#eef4ff",
  app: "#eef4ff",
  route: "#e6ffec",
};

function arrow(x: number, from: number, to: number): string {
  return `<path d="M${x} ${from}V${to}" stroke="#57606a" stroke-width="2" marker-end="url(#tip)"/>`;
}

function text(x: number, y: number, content: string, anchor = "start", fill = "#1f2328"): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${fill}">${escapeXml(content)}</text>`;
}

function shorten(content: string, length: number): string {
  return content.length > length ? `${content.slice(0, length - 1)}…` : content;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Most control characters cannot be written in XML. */
function escapeXml(content: string): string {
  return content
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]/g, "?")
    .replace(/[&<>"]/g, (char) => ENTITIES[char]!);
}
