import { CONTROLS } from "../../../src/lib/log/text.js";
import { isFault } from "../check.js";
import type { Finding, PipelineNode } from "../types.js";
import { labelOf } from "../walk.js";

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
