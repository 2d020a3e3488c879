import { type Edit, insert } from "./edits.js";
import type { Comment, Node } from "./nodes.js";
import type { Imported } from "./packages.js";
import type { Source } from "./source.js";

/** Comments that mean something to a program, for the line below. */
const DIRECTIVE =
  /^[*\s]*(?:@ts-|eslint-disable-next-line|prettier-ignore|biome-ignore|(?:istanbul|c8|v8) ignore)/;

/**
 * A comment of an import that goes is kept with what it was about, on a line of its own: beside another import it would mislead.
 * `isReplaced` says whether something else is written in the place of the import.
 */
export function commentEdits(
  source: Source,
  one: Imported,
  now: string | undefined,
  isReplaced: boolean,
): readonly Edit[] {
  const about = ` ${one.package}, now ${now === one.package || now === undefined ? "of express-portico" : now}:`;
  const labelled = ({ start }: Comment): Edit => {
    const [opener] = /^\/(?:\/|\*[*!]?(?!\/))/.exec(source.text.slice(start!))!;
    const at = start! + opener.length;
    return insert(at, /\s/.test(source.text[at] ?? "") ? about : `${about} `);
  };
  const above = commentAbove(source, one);
  return [
    ...(above === undefined ? [] : [labelled(above)]),
    ...besideEdits(source, one, isReplaced, labelled),
  ];
}

/** The comment behind the import, if it is alone on its line. */
function besideEdits(
  source: Source,
  { statement, declarator }: Imported,
  isReplaced: boolean,
  labelled: (comment: Comment) => Edit,
): readonly Edit[] {
  const { text, comments, style } = source;
  const declarations = statement.type === "VariableDeclaration" ? statement.declarations : [];
  const index = declarations.indexOf(declarator as never);
  const isInList = declarations.length > 1;
  const isLast = index === declarations.length - 1;
  const node = isInList ? declarator! : statement;
  const lineStart = text.lastIndexOf("\n", (isInList && index > 0 ? node : statement).start! - 1) + 1;
  const indent = text.slice(lineStart, (isInList && index > 0 ? node : statement).start!);
  if (indent.trim() !== "") return [];
  const comma = isInList && !isLast ? /^\s*,/.exec(text.slice(node.end!)) : undefined;
  if (comma === null) return [];
  const tail = isInList && isLast ? statement.end! : node.end! + (comma?.[0].length ?? 0);
  const [space] = /^[ \t]*/.exec(text.slice(tail))!;
  const comment = comments.find(({ start }) => start === tail + space.length);
  if (comment === undefined || !/^[ \t]*(?:\r|\n|$)/.test(text.slice(comment.end!))) return [];
  if (/[\r\n]/.test(comment.value)) return [];
  const hasCode = isReplaced || (isInList && isLast);
  const isFirstOfList = isInList && index === 0 && !isReplaced;
  const between = {
    start: tail,
    end: comment.start!,
    text: hasCode ? style.eol + (isInList && isLast ? indentOf(text, statement) : indent) : "",
  };
  return isFirstOfList || (!hasCode && space === "") ? [labelled(comment)] : [between, labelled(comment)];
}

/** The comment above, if it is about this import alone: another import does not follow on the next line. */
function commentAbove(source: Source, { statement, declarator }: Imported): Comment | undefined {
  if (
    declarator !== undefined &&
    statement.type === "VariableDeclaration" &&
    statement.declarations.length > 1
  )
    return undefined;
  const nearest = endingAbove(source, statement.start!);
  if (nearest === undefined) return undefined;
  if (DIRECTIVE.test(nearest.value)) return nearest;
  let top = nearest;
  for (let one = endingAbove(source, top.start!); one !== undefined; one = endingAbove(source, one.start!))
    top = one;
  const isFirst = !source.program.body.some((one: Node) => one.start! < statement.start!);
  const below = /^[^\r\n]*\r?\n?([^\r\n]*)/.exec(source.text.slice(statement.end!))?.[1] ?? "";
  const isAlone = /^\s*(?:$|\/\/|\/\*)/.test(below);
  return isFirst || !isAlone ? undefined : top;
}

/** A comment with a line of its own that ends on the line above. */
function endingAbove({ text, comments }: Source, at: number): Comment | undefined {
  const lineStart = text.lastIndexOf("\n", at - 1) + 1;
  if (text.slice(lineStart, at).trim() !== "") return undefined;
  return comments.find(({ start, end }) => {
    const before = text.slice(text.lastIndexOf("\n", start! - 1) + 1, start!);
    return end! <= lineStart && /^[ \t]*\r?\n$/.test(text.slice(end!, lineStart)) && before.trim() === "";
  });
}

function indentOf(text: string, { start }: Node): string {
  return /^[ \t]*/.exec(text.slice(text.lastIndexOf("\n", start! - 1) + 1))![0];
}
