import type { ForeignOptions } from "../../../src/lib/config/checker.js";
import { ConfigError } from "../../../src/lib/config/config-error.js";
import { type Edit, insert, Refusal } from "../edits.js";
import { bare, keyOf, type Node } from "../nodes.js";
import { type Source, textOf } from "../source.js";
import { isUnknown, staticValue } from "../static-value.js";

/** What is known of the app's files, where a replacement depends on it. */
export interface Surroundings {
  /** The major version of an installed package, or of the one in package.json. */
  majorOf(name: string): number | undefined;
  /** Whether a text is in a file of the project. */
  mentions(text: string): boolean;
}

/** A call that means the same here. */
export interface Replacement {
  /** The function of this package. */
  readonly name: string;
  /** The edits of its arguments. */
  readonly edits: readonly Edit[];
  /** What differs all the same. */
  readonly notes: readonly string[];
}

export type CallNode = Extract<Node, { type: "CallExpression" }>;
export type ObjectNode = Extract<Node, { type: "ObjectExpression" }>;
export type Translate = (source: Source, call: CallNode, around: Surroundings) => Replacement | Refusal;

/** The options of a call as they are written, in its arguments or in a constant that only this call uses. */
export interface WrittenOptions {
  readonly object: ObjectNode;
  readonly values: Readonly<Record<string, unknown>>;
  /** The constant, if other code uses it too: then it must not be edited. */
  readonly shared: string | undefined;
}

export function writtenOptions(source: Source, argument: Node): WrittenOptions | Refusal {
  const node = bare(argument);
  const value = staticValue(source, node);
  if (isUnknown(value))
    return new Refusal(`what ${short(source, node)} holds is not written as plain values in this file`);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return new Refusal(`${short(source, node)} is not an object of options`);
  const values = value as Readonly<Record<string, unknown>>;
  if (node.type === "ObjectExpression") return { object: node, values, shared: undefined };
  const binding = source.bindingOf(node);
  const declarator = source.parentOf(binding!.declarations[0]!) as Extract<
    Node,
    { type: "VariableDeclarator" }
  >;
  const object = bare(declarator.init!);
  if (object.type !== "ObjectExpression")
    return new Refusal(`what ${short(source, node)} holds is not written as plain values in this file`);
  const name = textOf(source, node);
  const isOnly = binding!.references.length === 1;
  return { object, values, shared: isOnly ? undefined : name };
}

/** Edits of single options; the others stay as they are written. */
export class OptionEdits {
  readonly edits: Edit[] = [];
  readonly #source: Source;
  readonly #object: ObjectNode;

  constructor(source: Source, object: ObjectNode) {
    this.#source = source;
    this.#object = object;
  }

  property(key: string): Node | undefined {
    return this.#object.properties.find((one) => keyOf(one) === key);
  }

  value(key: string): Node | undefined {
    const property = this.property(key);
    return property?.type === "ObjectProperty" ? property.value : undefined;
  }

  rename(key: string, name: string): void {
    const property = this.property(key);
    if (property?.type === "ObjectProperty" && property.shorthand)
      this.edits.push(insert(property.start!, `${name}: `));
    else if (property?.type === "ObjectProperty" || property?.type === "ObjectMethod")
      this.edits.push({ start: property.key.start!, end: property.key.end!, text: name });
  }

  replaceValue(key: string, text: string): void {
    const value = this.value(key);
    if (value !== undefined) this.edits.push({ start: value.start!, end: value.end!, text });
  }

  replace(key: string, text: string): void {
    const property = this.property(key);
    if (property !== undefined) this.edits.push({ start: property.start!, end: property.end!, text });
  }

  /** Removes an option, with the comma and the white space after it, or those before it if it is the last. */
  remove(key: string): void {
    const { text } = this.#source;
    const { properties } = this.#object;
    const index = properties.findIndex((one) => keyOf(one) === key);
    const property = properties[index]!;
    const next = properties[index + 1];
    const previous = properties[index - 1];
    if (next !== undefined) this.edits.push({ start: property.start!, end: next.start!, text: "" });
    else if (previous !== undefined) this.edits.push({ start: previous.end!, end: property.end!, text: "" });
    else {
      const comma = /^\s*,/.exec(text.slice(property.end!));
      this.edits.push({ start: property.start!, end: property.end! + (comma?.[0].length ?? 0), text: "" });
    }
  }

  /** Adds an option as the first one, on a line of its own if the others have lines of their own. */
  add(option: string): void {
    const [first] = this.#object.properties;
    const start = this.#object.start! + 1;
    if (first === undefined) {
      this.edits.push({ start, end: this.#object.end! - 1, text: ` ${option} ` });
      return;
    }
    const space = /^\s*/.exec(this.#source.text.slice(start))![0];
    this.edits.push(insert(start, `${space === "" ? "" : space}${option},${space === "" ? " " : ""}`));
  }

  /** Adds an option as the last one. */
  append(option: string): void {
    const last = this.#object.properties.at(-1);
    if (last === undefined) this.add(option);
    else this.edits.push(insert(last.end!, `, ${option}`));
  }
}

/** What the function of this package says to the options, or undefined if it takes them. */
export function problemOf(make: () => unknown): string | undefined {
  try {
    make();
    return undefined;
  } catch (error) {
    if (!(error instanceof ConfigError)) return error instanceof Error ? error.message : String(error);
    return error.problems
      .map(({ option, reason }) => (option === "options" ? `options: ${reason}` : `${option} ${reason}`))
      .join("; ");
  }
}

/** What the table of a middleware says to an option of another package. */
export function foreignText(table: ForeignOptions, from: string, option: string): string {
  const entries = Object.entries(table[from] ?? {});
  const text = entries.find(([names]) => names.split(" ").includes(option))?.[1];
  return text === undefined ? `the option ${option} is not known here` : `${option}: ${text}`;
}

export function quoted({ style }: Source, text: string): string {
  return style.quote + text + style.quote;
}

/** The first line of an expression, for messages. */
export function short(source: Source, node: Node): string {
  const [line = ""] = textOf(source, node).split(/\r?\n/);
  return line.length > 40 ? `${line.slice(0, 39)}…` : line;
}

/** Stands for a text that is known only when the app runs. */
export const SOME_ORIGIN = "https://placeholder.example";
