import { MagicString } from "./libraries.cjs";
import { hasComment, type Source } from "./source.js";

/** A part of the text, and what comes in its place. An insertion has no length. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Why something is left as it is. */
export class Refusal {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

export function insert(at: number, text: string): Edit {
  return { start: at, end: at, text };
}

/** Whether the edits would remove a comment. */
export function hasEditComment(source: Source, edits: readonly Edit[]): boolean {
  return edits.some(({ start, end }) => end > start && hasComment(source, start, end));
}

/** Every byte outside the edits stays as it is. */
export function apply(text: string, edits: readonly Edit[]): string {
  const changed = new MagicString(text);
  for (const { start, end, text: replacement } of joined(edits)) {
    if (start === end) changed.appendLeft(start, replacement);
    else if (replacement === "") changed.remove(start, end);
    else changed.overwrite(start, end, replacement, { contentOnly: true });
  }
  return changed.toString();
}

/** The part of the text that a statement has to itself: whole lines, if nothing else is on them. */
export function linesOf(text: string, start: number, end: number): Edit {
  const before = text.slice(text.lastIndexOf("\n", start - 1) + 1, start);
  const after = /^[ \t]*(?:\r\n|\n|\r|$)/.exec(text.slice(end));
  if (before.trim() !== "" || after === null) return { start, end, text: "" };
  return { start: start - before.length, end: end + after[0].length, text: "" };
}

/** Removals that overlap become one. */
function joined(edits: readonly Edit[]): readonly Edit[] {
  const isRemoval = ({ start, end, text }: Edit) => end > start && text === "";
  const removals: Edit[] = [];
  for (const edit of edits.filter(isRemoval).sort((a, b) => a.start - b.start)) {
    const last = removals.at(-1);
    if (last === undefined || edit.start > last.end) removals.push(edit);
    else removals[removals.length - 1] = { ...last, end: Math.max(last.end, edit.end) };
  }
  return [...edits.filter((edit) => !isRemoval(edit)), ...removals];
}
