import { CONTROLS } from "../../../src/lib/log/text.js";
import { type Finding, labelOf, type PipelineNode } from "../pipeline.js";
import { isFault } from "../rules/index.js";

export type Paint = (style: Style, text: string) => string;
type Style = keyof typeof CODES;

const CODES = { dim: 2, bold: 1, red: 31, yellow: 33, green: 32, cyan: 36, magenta: 35 } as const;

export const plain: Paint = (_style, text) => clean(text);
export const coloured: Paint = (style, text) => `\u001b[${CODES[style]}m${clean(text)}\u001b[0m`;

/** The pipeline as a tree, in the order in which requests pass it. */
export function treeText(app: PipelineNode, findings: readonly Finding[], paint: Paint): string {
  const lines = [paint("bold", "app")];
  const marks = new Map<string, Finding>();
  for (const one of findings) {
    const index = one.at.split(" ")[0]!;
    if (!marks.has(index)) marks.set(index, one); // the faults come first
  }
  const visit = (node: PipelineNode, indent: string): void => {
    node.children.forEach((child, i) => {
      const isLast = i === node.children.length - 1;
      const mark = marks.get(child.index);
      const sign = mark === undefined ? "" : ` ${paint(isFault(mark) ? "red" : "yellow", `<- ${mark.rule}`)}`;
      lines.push(`${paint("dim", indent + (isLast ? "└─ " : "├─ "))}${line(child, node, paint)}${sign}`);
      const inner = indent + (isLast ? "   " : "│  ");
      if (child.unseen !== undefined) lines.push(paint("dim", `${inner}└─ (not seen: ${child.unseen})`));
      visit(child, inner);
    });
  };
  visit(app, "");
  return `${lines.join("\n")}\n`;
}

function line(node: PipelineNode, around: PipelineNode, paint: Paint): string {
  const label =
    node.kind === "route"
      ? paint("cyan", labelOf(node))
      : node.kind === "error handler"
        ? paint("magenta", labelOf(node))
        : clean(labelOf(node));
  const isNamed = node.kind === "route" || node.path === around.path || /^the /.test(labelOf(node));
  const notes = [
    ...(node.kind === "error handler" ? ["error handler"] : []),
    ...(node.methods !== undefined && node.kind !== "route" ? [node.methods.join(", ")] : []),
    ...(node.package !== undefined && node.package !== "express-portico" && node.concern === "bodyParser"
      ? [node.package]
      : []),
    ...(isNamed ? [] : [`at ${node.path}`]),
  ];
  const index = paint("dim", node.index);
  return `${index} ${label}${notes.length === 0 ? "" : paint("dim", ` (${notes.join(", ")})`)}`;
}

/** The findings: what is wrong, why, and what to do. */
export function findingsText(findings: readonly Finding[], paint: Paint): string {
  if (findings.length === 0) return `${paint("green", "Nothing wrong was found.")}\n`;
  const blocks = findings.map((one) => {
    const sign = isFault(one) ? paint("red", "fault ") : paint("yellow", "advice");
    return [
      `${sign} ${paint("bold", one.message)}`,
      `       at:  ${clean(one.at)}  ${paint("dim", one.rule)}`,
      `       why: ${clean(one.why)}`,
      `       fix: ${clean(one.fix)}`,
    ].join("\n");
  });
  const faults = findings.filter(isFault).length;
  return `${blocks.join("\n\n")}\n\n${count(faults, "fault")}, ${findings.length - faults} advice\n`;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

/** Replaces control characters: a name or a path must not move the cursor, or change colours or the direction of text. */
function clean(text: string): string {
  return text.replace(CONTROLS, "?");
}

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
    "<title>The middleware of the app</title>",
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
