import fc from "fast-check";
import ts from "typescript";
import { type Change, changeOf } from "../../../tools/init/change.js";
import { readSource } from "../../../tools/init/source.js";
import { SOAK } from "../../support/soak.js";
import { type Case, CASES as PLAIN_CASES } from "./cases.js";
import { CLASS_CASES } from "./cases-class.js";

const CASES = [...PLAIN_CASES, ...CLASS_CASES];

function change(one: Case, text = one.before): Change {
  return changeOf(readSource(one.file, text), {
    majorOf: () => one.helmet ?? 8,
    mentions: (wanted) => wanted === one.mentions,
    addsElsewhere: () => one.addsElsewhere,
  });
}

it.each(CASES)("$name", (one) => {
  const { after, left, notes } = change(one);
  expect(after).toBe(one.after);
  expect(left.map(({ text }) => text)).toEqual((one.left ?? []).map(matching));
  for (const note of one.notes ?? []) expect(notes.map(({ text }) => text)).toContainEqual(matching(note));
});

function matching(text: string | RegExp) {
  return typeof text === "string" ? text : expect.stringMatching(text);
}

it.each(CASES)("a second run changes nothing: $name", (one) => {
  expect(change(one, one.after).after).toBe(one.after);
});

it("each that was left is named with its line", () => {
  const { left } = change(CASES.find(({ name }) => name.startsWith("what is not certain"))!);
  expect(left.map(({ line }) => line)).toEqual([6, 8, 9, 10, 11, 12, 13, 15]);
});

/** The comments of a file, read by another parser than the one that makes the changes. */
function commentsOf(file: string, text: string): string[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found = new Map<number, string>();
  const visit = (node: ts.Node): void => {
    for (const range of [
      ...(ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []),
      ...(ts.getTrailingCommentRanges(text, node.getEnd()) ?? []),
    ])
      found.set(range.pos, text.slice(range.pos, range.end));
    for (const child of node.getChildren(source)) visit(child);
  };
  visit(source);
  return [...found].sort(([a], [b]) => a - b).map(([, comment]) => comment);
}

/** Comments without what was put before their text: what they were about, and a space. */
function bodiesOf(comments: readonly string[]): string[] {
  return comments.map((one) => one.replace(/^(\/[/*][*!]?) ?(?:[\w-]+, now [\w -]+:)? ?/, "$1"));
}

/** The places between two tokens, where a comment may be. */
function gapsOf(file: string, text: string): number[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const places = new Set<number>();
  const visit = (node: ts.Node): void => {
    const children = node.getChildren(source);
    if (children.length === 0 && node.getWidth(source) > 0) places.add(node.getStart(source));
    for (const child of children) visit(child);
  };
  visit(source);
  return [...places];
}

it("no comment is lost, whatever places they are at, and the order of the others stays", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...CASES),
      fc.array(fc.nat(), { minLength: 1, maxLength: 12 }),
      (one, wanted) => {
        const gaps = gapsOf(one.file, one.before);
        const places = [...new Set(wanted.map((n) => gaps[n % gaps.length]!))].sort((a, b) => b - a);
        const text = places.reduce(
          (made, at, i) => `${made.slice(0, at)}/* ${i} */ ${made.slice(at)}`,
          one.before,
        );
        const { after } = change(one, text);
        expect(bodiesOf(commentsOf(one.file, after))).toEqual(bodiesOf(commentsOf(one.file, text)));
        expect(change(one, after).after).toBe(after);
      },
    ),
    { numRuns: SOAK ? 1_000 : 40 },
  );
});

it("every line that it does not change is there as it was", () => {
  for (const one of CASES) {
    const kept = one.before.split("\n").filter((line) => one.after.split("\n").includes(line));
    const lines = change(one).after.split("\n");
    let at = -1;
    for (const line of kept) {
      at = lines.indexOf(line, at + 1);
      expect(at).toBeGreaterThan(-1);
    }
  }
});

it("a file that the parser cannot read is a syntax error, and is not changed", () => {
  expect(() => readSource("app.js", "const = 1")).toThrow(SyntaxError);
});
