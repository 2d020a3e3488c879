import { type Edit, insert } from "./edits.js";
import { endOfLine } from "./imports.js";
import { isFunction, type Node } from "./nodes.js";
import type { Source } from "./source.js";

/** Above a statement and the comment that belongs to it. */
export function linesBefore(source: Source, statement: Node, lines: readonly string[]): Edit {
  const { text, comments, style } = source;
  const lineStart = (at: number) => text.lastIndexOf("\n", at - 1) + 1;
  let at = statement.start!;
  if (text.slice(lineStart(at), at).trim() !== "") {
    return insert(at, `${lines.map(ended).join(" ")} `);
  }
  const indent = text.slice(lineStart(at), at);
  at = lineStart(at);
  for (;;) {
    const above = comments.find(
      ({ start, end }) =>
        end! <= at &&
        /^[ \t]*\r?\n$/.test(text.slice(end!, at)) &&
        text.slice(lineStart(start!), start!).trim() === "",
    );
    if (above === undefined || lineStart(above.start!) <= floorOf(source, statement)) break;
    at = lineStart(above.start!);
  }
  return insert(at, lines.map((line) => indent + line + style.eol).join(""));
}

/** A comment at the very top of a list belongs to the whole. */
function floorOf(source: Source, statement: Node): number {
  const list = source.parentOf(statement);
  return list?.type === "Program" ? 0 : (list?.start ?? 0);
}

export function linesAfter(source: Source, statement: Node, lines: readonly string[]): Edit {
  const { text, style } = source;
  const lineStart = text.lastIndexOf("\n", statement.start! - 1) + 1;
  const indent = /^[ \t]*/.exec(text.slice(lineStart))![0];
  const end = endOfLine(text, statement.end!);
  const isEnd = /^(?:\r|\n|$)/.test(text.slice(end));
  // A line that begins with one of these would continue the inserted one.
  const last = /^\s*[([`+\-/*,.]/.test(text.slice(end)) ? lines.map(ended) : lines;
  const isOpen =
    style.semicolon === "" ||
    text[statement.end! - 1] === ";" ||
    isFunction(statement) ||
    text[statement.end! - 1] === "}";
  if (isEnd) return insert(end, last.map((line) => style.eol + indent + line).join(""));
  return insert(statement.end!, `${isOpen ? "" : ";"} ${lines.map(ended).join(" ")}`);
}

function ended(line: string): string {
  return line.endsWith(";") ? line : `${line};`;
}
