import { compress } from "../../../src/compress/index.js";
import { FOREIGN } from "../../../src/compress/options.js";
import { Refusal } from "../edits.js";
import { textOf } from "../source.js";
import { foreignText, OptionEdits, problemOf, type Translate, writtenOptions } from "./options.js";

const UNITS: Readonly<Record<string, number>> = { "": 1, b: 1, kb: 1024, mb: 1024 ** 2 };

export const translateCompression: Translate = (source, call) => {
  const [argument] = call.arguments;
  if (argument === undefined) return { name: "compress", edits: [], notes: [] };
  const written = writtenOptions(source, argument);
  if (written instanceof Refusal) return written;
  const { object, values, shared } = written;
  const options = new OptionEdits(source, object);
  const checked: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    if (key === "threshold") {
      const bytes = typeof value === "string" ? bytesOf(value) : value;
      if (typeof bytes !== "number") return new Refusal("threshold: write it as a number of bytes");
      if (bytes !== value) options.replaceValue(key, String(bytes));
      checked[key] = bytes;
    } else if (key === "level") {
      if (value === -1) options.remove(key);
      else if (typeof value === "number" && value >= 1) {
        options.replace(key, `levels: { gzip: ${value}, deflate: ${value} }`);
        checked.levels = { gzip: value, deflate: value };
      } else return new Refusal(foreignText(FOREIGN, "compression", key));
    } else if (key === "filter") {
      // Here a filter narrows the list of types, so it means the same only if it asks that of the package in the end.
      const property = options.property(key);
      const value = options.value(key);
      const binding = value && source.bindingOf(value);
      const declared = binding?.declarations[0] && source.parentOf(binding.declarations[0]);
      const body = textOf(source, declared ?? property!);
      if (!/\.filter\(/.test(body))
        return new Refusal("filter: here it can only leave out types of the built-in list, not add others");
    } else return new Refusal(foreignText(FOREIGN, "compression", key));
  }
  const problem = problemOf(() => compress(checked));
  if (problem !== undefined) return new Refusal(problem);
  if (options.edits.length > 0 && shared !== undefined)
    return new Refusal(`its options would change, and other code uses ${shared} too`);
  return { name: "compress", edits: options.edits, notes: [] };
};

/** "1kb", as the package reads it. */
function bytesOf(text: string): number | undefined {
  const [, digits, unit] = /^(\d+) *([km]?b|)$/i.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * UNITS[unit!.toLowerCase()]!;
}
