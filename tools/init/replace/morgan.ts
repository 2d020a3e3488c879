import { requestLog } from "../../../src/request-log/index.js";
import { type Edit, insert, Refusal } from "../edits.js";
import { bare, type Node } from "../nodes.js";
import type { Source } from "../source.js";
import { isUnknown, staticValue } from "../static-value.js";
import { OptionEdits, problemOf, type Translate, writtenOptions } from "./options.js";

const KEPT = new Set(["stream", "skip", "immediate"]);

export const translateMorgan: Translate = (source, call) => {
  const [format, given] = call.arguments;
  if (format === undefined || call.arguments.length > 2)
    return new Refusal("it is not called as morgan documents it");
  const formats = textsOf(source, format);
  if (formats instanceof Refusal) return formats;
  const opening = insert(format.start!, "{ format: ");
  const notes = formats.includes("dev")
    ? ['format "dev" is a line of its own form: method, target, status, time, marks']
    : [];
  if (given === undefined) {
    const problem = problemIn(source, formats, {});
    if (problem !== undefined) return new Refusal(problem);
    return { name: "requestLog", edits: [opening, insert(format.end!, " }")], notes };
  }
  const written = writtenOptions(source, given);
  if (written instanceof Refusal) return written;
  const { object, values } = written;
  const unknown = Object.keys(values).find((key) => !KEPT.has(key));
  if (unknown === "buffer")
    return new Refusal(
      "buffer: it is not needed, the lines of one turn of the event loop are always one write",
    );
  if (unknown !== undefined) return new Refusal(`the option ${unknown} is not known here`);
  if (values.stream === null)
    return new Refusal("stream: null is not taken here: leave it out for standard output");
  if (isUnknown(values.immediate)) return new Refusal("what immediate is, is not written in this file");
  const problem = problemIn(source, formats, { immediate: values.immediate });
  if (problem !== undefined) return new Refusal(problem);
  if (bare(given) !== object) {
    const from: Edit = { start: format.end!, end: given.start!, text: ", ..." };
    return { name: "requestLog", edits: [opening, from, insert(given.end!, " }")], notes };
  }
  const edits: Edit[] = [opening];
  if (object.properties.length === 0) edits.push({ start: format.end!, end: object.start! + 1, text: " " });
  else edits.push({ start: format.end!, end: object.start! + 1, text: "," });
  return { name: "requestLog", edits: [...edits, ...new OptionEdits(source, object).edits], notes };
};

/** The formats that an argument may be; empty if it is a text that is known only when the app runs. */
function textsOf(source: Source, given: Node): readonly string[] | Refusal {
  const node = bare(given);
  if (node.type === "ConditionalExpression") {
    const both = [textsOf(source, node.consequent), textsOf(source, node.alternate)];
    const refused = both.find((one) => one instanceof Refusal);
    return refused ?? both.flatMap((one) => one as readonly string[]);
  }
  const value = staticValue(source, node);
  if (typeof value === "string") return [value];
  if (isUnknown(value) && value.isText) return [];
  return typeof value === "function"
    ? new Refusal("the format is a function: name it with morgan.format(name, fn), and write format: name")
    : new Refusal("the format is not written in this file: it may be a function");
}

/** Formats and tokens of the app's own are registered when it runs; they are not checked here. */
function problemIn(source: Source, formats: readonly string[], options: object): string | undefined {
  const own = [...source.text.matchAll(/\.(?:token|format)\(\s*['"`]([\w-]+)['"`]/g)].map(
    (match) => match[1]!,
  );
  for (const format of formats) {
    if (own.some((name) => format === name || new RegExp(`:${name}\\b`).test(format))) continue;
    const problem = problemOf(() => requestLog({ ...options, format }));
    if (problem !== undefined) return problem;
  }
  return undefined;
}
