import type { Finding } from "../check/pipeline.js";
import type { Checked } from "./check-app.js";
import type { Said } from "./draft.js";
import { PACKAGE } from "./imports.js";
import { structuredPatch } from "./libraries.cjs";

export interface FileDiff {
  readonly file: string;
  /** As it is shown. */
  readonly name: string;
  readonly before: string;
  readonly after: string;
}

export interface Report {
  readonly file: string;
  readonly diffs: readonly FileDiff[];
  readonly done: readonly Said[];
  readonly notes: readonly Said[];
  readonly left: readonly Said[];
  /** Other files that make an app or use one of the replaced packages. */
  readonly others: readonly string[];
  readonly uninstall: readonly string[];
  readonly isWritten: boolean;
  /** What check says to the app, if it was asked: before the change, and after it, written or not. */
  readonly before: Checked | undefined;
  readonly after: Checked | undefined;
  /** The installed version of Express, if it is too old. */
  readonly oldExpress: string | undefined;
}

const CODES = { bold: 1, red: 31, green: 32, cyan: 36 } as const;
type Paint = (style: keyof typeof CODES, text: string) => string;

export function reportText(report: Report, hasColour: boolean): string {
  const paint: Paint = (style, text) =>
    hasColour ? `\u001b[${CODES[style]}m${clean(text)}\u001b[0m` : clean(text);
  const parts = [
    ...report.diffs.map((one) => diffText(one, paint)),
    section("Changes", report.file, report.done, paint),
    section("Good to know", report.file, report.notes, paint),
    section("Left as it is", report.file, report.left, paint),
    othersText(report, paint),
    checkedText(report, paint),
    nextText(report, paint),
  ];
  return parts.filter((one) => one !== "").join("\n");
}

/** A unified diff, as git prints it. */
export function diffText({ name, before, after }: FileDiff, paint: Paint): string {
  const { hunks } = structuredPatch(name, name, before, after, undefined, undefined, { context: 3 });
  const lines = [paint("bold", `--- a/${name}`), paint("bold", `+++ b/${name}`)];
  for (const { oldStart, oldLines, newStart, newLines, lines: changed } of hunks) {
    lines.push(paint("cyan", `@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`));
    for (const line of changed) {
      const text = line.replace(/\r$/, "");
      lines.push(
        text.startsWith("+") ? paint("green", text) : text.startsWith("-") ? paint("red", text) : clean(text),
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

function section(title: string, file: string, said: readonly Said[], paint: Paint): string {
  if (said.length === 0) return "";
  const lines = said.map(({ line, text }) => `  ${file}:${line} ${clean(text)}`);
  return `${paint("bold", title)}\n${lines.join("\n")}\n`;
}

function othersText({ others }: Report, paint: Paint): string {
  if (others.length === 0) return "";
  return `${paint("bold", "Other files that make an app, or use what is replaced here")}\n${others.map((one) => `  npx ${PACKAGE} init ${one}`).join("\n")}\n`;
}

/** The findings that the change has removed, and those that are still there. */
function checkedText({ before, after, isWritten }: Report, paint: Paint): string {
  if (before === undefined) return "";
  const title = paint("bold", `${PACKAGE} check`);
  if ("unread" in before) {
    const text = `  The app could not be imported, so this is from its source alone, and what check would find after the change is not known: ${clean(before.unread)}`;
    return `${title}\n${text}\n`;
  }
  const lines = (findings: readonly Finding[], mark: string) =>
    findings.map(({ level, message }) => `  ${mark}${level}: ${clean(message)}`);
  const list = (texts: readonly string[]) =>
    `${title}\n${texts.length === 0 ? "  Nothing wrong was found." : texts.join("\n")}\n`;
  if (after === undefined) return list(lines(before.findings, "before: "));
  if ("unread" in after) return list([`  The changed app could not be imported: ${clean(after.unread)}`]);
  if (!isWritten) {
    const then = lines(after.findings, "after this change: ");
    const found = lines(before.findings, "before: ");
    return list([...found, ...(then.length === 0 ? ["  after this change: nothing"] : then)]);
  }
  const isIn = (all: readonly Finding[]) => (one: Finding) => all.some(({ rule }) => rule === one.rule);
  const gone = before.findings.filter((one) => !isIn(after.findings)(one));
  return list([...lines(gone, "no longer: "), ...lines(after.findings, "now: ")]);
}

function nextText({ diffs, isWritten, uninstall, oldExpress, file }: Report, paint: Paint): string {
  if (diffs.length === 0) return `${paint("green", "Nothing to change.")}\n`;
  const steps = [
    ...(isWritten ? [] : [`npx ${PACKAGE} init ${file} --write`]),
    ...(oldExpress === undefined
      ? []
      : [`npm install express@4   (${oldExpress} is installed; 4.21 or later is needed)`]),
    "npm install",
    ...(uninstall.length === 0 ? [] : [`npm uninstall ${uninstall.join(" ")}`]),
    `npx ${PACKAGE} check ${file}`,
  ];
  return `${paint("bold", isWritten ? "Written. Next" : "Next")}\n${steps.map((one) => `  ${one}`).join("\n")}\n`;
}

/** Control characters, tabs aside, must not reach a terminal. */
function clean(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    "?",
  );
}
