import { type Edit, hasEditComment, insert, linesOf } from "./edits.js";
import { commentEdits } from "./import-comments.js";
import type { Node } from "./nodes.js";
import type { Imported } from "./packages.js";
import { hasComment, type Source, textOf } from "./source.js";

export const PACKAGE = "express-portico";

/** The names that a file takes from this package, by what they are called in the file. */
export class OwnNames {
  readonly #source: Source;
  readonly #imports: readonly Imported[];
  readonly #known = new Map<string, string>();
  readonly #added = new Map<string, string>();
  #gone: ReadonlySet<unknown> = new Set();

  constructor(source: Source, imports: readonly Imported[]) {
    this.#source = source;
    this.#imports = imports;
    for (const one of imports.filter(
      ({ package: name }) => name === PACKAGE || name.startsWith(`${PACKAGE}/`),
    ))
      for (const [binding, member] of one.members) this.#known.set(member, binding.name);
  }

  has(name: string): boolean {
    return this.#known.has(name);
  }

  /** These imports go, and their names can be used again. */
  freeNamesOf(removed: readonly Imported[]): void {
    this.#gone = new Set(removed.map(({ whole }) => whole));
  }

  /** What a function of this package is called in the file; it is imported if it is not yet. */
  use(name: string): string {
    const known = this.#known.get(name) ?? this.#added.get(name);
    if (known !== undefined) return known;
    const local = this.free(name, `portico${name[0]!.toUpperCase()}${name.slice(1)}`);
    this.#added.set(name, local);
    return local;
  }

  /** A name that nothing else in the file has. */
  free(...wanted: readonly string[]): string {
    const isFree = (name: string) =>
      !this.#source.bindings.some((one) => one.name === name && !this.#gone.has(one));
    return wanted.find(isFree) ?? `${wanted.at(-1)}Handler`;
  }

  /** The edits that import what was used, and remove what is no longer used. `now` has what replaces each package. */
  edits(removed: readonly Imported[], before: number, now: ReadonlyMap<string, string>): readonly Edit[] {
    const slot = this.#slot(removed, before);
    const comments = removed.flatMap((one) =>
      commentEdits(this.#source, one, now.get(one.package), one === slot),
    );
    return [...this.#imported(removed, before, slot), ...comments];
  }

  /** The import in whose place the one of this package is written. */
  #slot(removed: readonly Imported[], before: number): Imported | undefined {
    if (this.#added.size === 0 || this.#ownList(before) !== undefined) return undefined;
    return removed.find((one) => this.#isTop(one) && one.statement.start! < before);
  }

  #isTop(one: Imported): boolean {
    return this.#source.parentOf(one.statement)?.type === "Program";
  }

  /** An import of this package that more can be added to. */
  #ownList(before: number): Imported | undefined {
    return this.#imports.find(
      (one) => one.package === PACKAGE && lastMember(one) !== undefined && one.statement.start! < before,
    );
  }

  #imported(removed: readonly Imported[], before: number, slot: Imported | undefined): readonly Edit[] {
    const names = [...this.#added].sort(([a], [b]) => (a < b ? -1 : 1));
    if (names.length === 0) return removed.flatMap((one) => removal(this.#source, one, removed));
    const source = this.#source;
    const own = this.#ownList(before);
    if (own !== undefined) {
      const added = insert(
        lastMember(own)!.end!,
        names.map(([name, local]) => `, ${member(source, own.statement, name, local)}`).join(""),
      );
      return [added, ...removed.flatMap((one) => removal(source, one, removed))];
    }
    if (slot !== undefined) {
      const rest = removed.filter((one) => one !== slot).flatMap((one) => removal(source, one, removed));
      const isAlone = slot.declarator === undefined || declarationsOf(slot.statement).length === 1;
      const edit = isAlone
        ? { start: slot.statement.start!, end: slot.statement.end!, text: this.#statement(names) }
        : { start: slot.declarator!.start!, end: slot.declarator!.end!, text: this.#declarator(names) };
      return [edit, ...rest];
    }
    const others = removed.flatMap((one) => removal(source, one, removed));
    const express = this.#imports.find(
      (one) => one.package === "express" && this.#isTop(one) && one.statement.end! < before,
    );
    if (express !== undefined)
      return [
        insert(endOfLine(source.text, express.statement.end!), source.style.eol + this.#statement(names)),
        ...others,
      ];
    const [first] = source.program.body;
    return [insert(first?.start ?? 0, this.#statement(names) + source.style.eol), ...others];
  }

  #statement(names: readonly (readonly [string, string])[]): string {
    const { style, file } = this.#source;
    if (style.isModule || /\.[cm]?tsx?$/.test(file)) {
      const list = names.map(([name, local]) => (name === local ? name : `${name} as ${local}`)).join(", ");
      return `import { ${list} } from ${style.quote}${PACKAGE}${style.quote}${style.semicolon}`;
    }
    return `${style.variable} ${this.#declarator(names)}${style.semicolon}`;
  }

  #declarator(names: readonly (readonly [string, string])[]): string {
    const { quote } = this.#source.style;
    const list = names.map(([name, local]) => (name === local ? name : `${name}: ${local}`)).join(", ");
    return `{ ${list} } = require(${quote}${PACKAGE}${quote})`;
  }
}

/** Whether an import can be removed without its comments. */
export function isRemovable(source: Source, one: Imported, all: readonly Imported[]): boolean {
  return (
    !hasEditComment(source, removal(source, one, all)) &&
    !hasEditComment(source, [{ ...range(one), text: "" }])
  );
}

function range({ statement, declarator }: Imported): { start: number; end: number } {
  const node = declarator !== undefined && declarationsOf(statement).length > 1 ? declarator : statement;
  return { start: node.start!, end: node.end! };
}

function removal(
  source: Source,
  { statement, declarator }: Imported,
  removed: readonly Imported[],
): readonly Edit[] {
  const declarations = declarationsOf(statement);
  const stays = declarations.filter((one) => !removed.some((gone) => gone.declarator === one));
  if (declarator === undefined || stays.length === 0) {
    const isFirst = declarator === undefined || declarations[0] === declarator;
    return isFirst ? [linesOf(source.text, statement.start!, statement.end!)] : [];
  }
  const index = declarations.indexOf(declarator);
  const next = declarations[index + 1];
  // Up to the next one, or to its comma if a comment is there; the last goes with the comma before it.
  if (next !== undefined) {
    const comma = source.text.indexOf(",", declarator.end!) + 1;
    const isBeforeComment = !hasComment(source, declarator.end!, comma);
    const end = isBeforeComment && hasComment(source, comma, next.start!) ? comma : next.start!;
    return [{ start: declarator.start!, end, text: "" }];
  }
  const previous = declarations[index - 1]!;
  return [{ start: previous.end!, end: declarator.end!, text: "" }];
}

function declarationsOf(statement: Node): readonly Node[] {
  return statement.type === "VariableDeclaration" ? statement.declarations : [];
}

/** The last member in the braces of an import. */
function lastMember({ statement, declarator }: Imported): Node | undefined {
  if (statement.type === "ImportDeclaration") {
    const last = statement.specifiers.at(-1);
    return last?.type === "ImportSpecifier" ? last : undefined;
  }
  const pattern = declarator?.type === "VariableDeclarator" ? declarator.id : undefined;
  const last = pattern?.type === "ObjectPattern" ? pattern.properties.at(-1) : undefined;
  return last?.type === "ObjectProperty" ? last : undefined;
}

function member(source: Source, statement: Node, name: string, local: string): string {
  if (name === local) return name;
  return statement.type === "ImportDeclaration" && !textOf(source, statement).includes("require(")
    ? `${name} as ${local}`
    : `${name}: ${local}`;
}

/** The end of the line, with a comment that belongs to the statement. The place itself if other code follows. */
export function endOfLine(text: string, from: number): number {
  const rest = /^[ \t]*(?:\/\/[^\r\n]*|\/\*[^\r\n]*?\*\/[ \t]*)?(?=\r|\n|$)/.exec(text.slice(from));
  return from + (rest?.[0].length ?? 0);
}
