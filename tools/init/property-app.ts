import { isFunction, type Node } from "./nodes.js";
import { type Source, textOf } from "./source.js";
import { type App, functionAround, kindOf, statementIn, type Use } from "./uses.js";

/** The body of a function that runs once, when the app is made. */
interface Body {
  readonly list: readonly Node[];
  /** The indexes of the statements that lead to it from the function that makes the app. */
  readonly order: readonly number[];
}

/**
 * The app in a property of a class. It is followed through the function that makes it, and the methods that this function calls
 * once: their order is certain. The target is the property where it is declared, or where it is assigned.
 */
export function propertyAppOf(source: Source, target: Node): App | string {
  if (target.type !== "ClassProperty" && target.type !== "ClassPrivateProperty") {
    const isOfThis = target.type === "MemberExpression" && target.object.type === "ThisExpression";
    if (!isOfThis || target.computed)
      return `it is in ${textOf(source, target)}, and what else uses that property is not certain`;
  }
  const owner = classAround(source, target);
  const key = target.type === "MemberExpression" ? target.property : (target as { key: Node }).key;
  const property = textOf(source, key);
  const name = `this.${property}`;
  if (owner === undefined) return `${name} is in no class`;
  if ((target as { static?: boolean }).static) return `${property} is a static property`;
  return new PropertyReader(source, owner, property).read(target);
}

class PropertyReader {
  readonly #source: Source;
  readonly #owner: Node;
  readonly #property: string;
  readonly #members: readonly Node[];

  constructor(source: Source, owner: Node, property: string) {
    this.#source = source;
    this.#owner = owner;
    this.#property = property;
    this.#members = (owner as { body: { body: readonly Node[] } }).body.body;
  }

  read(target: Node): App | string {
    const source = this.#source;
    const name = `this.${this.#property}`;
    const references = source.nodes.filter(
      (node) =>
        node !== target &&
        node.type === "MemberExpression" &&
        textOf(source, node.property) === this.#property,
    );
    const assigned = references.filter((node) => {
      const parent = source.parentOf(node);
      return parent?.type === "AssignmentExpression" && parent.left === node && this.#isOwn(node);
    });
    if (assigned.length > 0) return `${name} is given a value at more than one place`;
    const isDeclared = target.type !== "MemberExpression";
    const maker = isDeclared
      ? this.#members.find((one) => one.type === "ClassMethod" && one.kind === "constructor")
      : functionAround(source, target);
    if (maker === undefined)
      return `${name} belongs to a class without a constructor, so in what order its methods run is not certain`;
    if (!isDeclared && source.parentOf(maker) !== (this.#owner as { body: Node }).body)
      return `${name} is made in a function inside of a method`;
    const body = bodyOf(maker);
    const made = isDeclared ? target : statementIn(source, target, body);
    if (made === undefined) return `${name} is made inside of another statement`;
    const uses = [
      ...references.filter((node) => !isElsewhere(source, node, this.#owner)),
      ...this.#givenAway(),
    ].map((node) => this.#useOf(node, maker));
    return {
      ...{ name, owner: this.#owner, property: this.#property, made, maker },
      top: isDeclared ? startOf(source, body) : { node: made, isAfter: true },
      uses: uses.sort(byOrder),
    };
  }

  /** Whether a node is `this.` and a property, and `this` is of the class. */
  #isOwn(node: Node): boolean {
    return (
      node.type === "MemberExpression" &&
      node.object.type === "ThisExpression" &&
      classAround(this.#source, node) === this.#owner
    );
  }

  /** `this` as an argument or in a variable, or with the property taken from it. */
  #givenAway(): readonly Node[] {
    const source = this.#source;
    return source.nodes.filter((node) => {
      if (node.type !== "ThisExpression" || classAround(source, node) !== this.#owner) return false;
      const parent = source.parentOf(node);
      if (parent?.type === "VariableDeclarator")
        return parent.id.type !== "ObjectPattern" || textOf(source, parent.id).includes(this.#property);
      if (parent?.type !== "CallExpression" && parent?.type !== "NewExpression") return false;
      return !/\.bind$/.test(textOf(source, parent.callee as Node));
    });
  }

  #useOf(node: Node, maker: Node): Use {
    const source = this.#source;
    const found = kindOf(source, node);
    const around = functionAround(source, node);
    const body =
      node.type === "ThisExpression" || this.#isOwn(node) ? this.#bodyOf(around, maker, []) : undefined;
    const statement = body && statementIn(source, node, body.list);
    return {
      ...{ node, method: undefined, call: undefined, ...found, statement },
      list: body?.list ?? [],
      order: body && statement ? [...body.order, body.list.indexOf(statement), node.start!] : [],
      within: body === undefined ? (around ?? source.program) : undefined,
    };
  }

  /** The body of `maker`, or of a method that is called once, by `maker` or by such a method. */
  #bodyOf(around: Node | undefined, maker: Node, inside: readonly Node[]): Body | undefined {
    if (around === maker) return { list: bodyOf(maker), order: [] };
    const isMethod = around?.type === "ClassMethod" || around?.type === "ClassPrivateMethod";
    if (!isMethod || around.async || around.generator || around.kind !== "method") return undefined;
    if (inside.includes(around)) return undefined;
    const source = this.#source;
    const name = textOf(source, around.key);
    const named = source.nodes.filter(
      (node) =>
        node.type === "MemberExpression" && textOf(source, node.property) === name && this.#isOwn(node),
    );
    const [only] = named;
    const call = only && source.parentOf(only);
    if (named.length !== 1 || call?.type !== "CallExpression" || call.callee !== only) return undefined;
    const outer = this.#bodyOf(functionAround(source, call), maker, [...inside, around]);
    const statement = outer && statementIn(source, call, outer.list);
    if (outer === undefined || statement !== source.parentOf(call)) return undefined;
    return { list: bodyOf(around), order: [...outer.order, outer.list.indexOf(statement!)] };
  }
}

/** Whether its `this` is certainly another object: of a class that has the property itself. */
function isElsewhere(source: Source, node: Node, owner: Node): boolean {
  if ((node as { object?: Node }).object?.type !== "ThisExpression") return false;
  const other = classAround(source, node);
  return other !== owner && (other as { superClass?: Node | null } | undefined)?.superClass == null;
}

/** The class whose instance `this` is at a node. */
function classAround(source: Source, node: Node): Node | undefined {
  for (let one = source.parentOf(node); one !== undefined; one = source.parentOf(one)) {
    if (one.type === "ClassDeclaration" || one.type === "ClassExpression") return one;
    if (isFunction(one) && !/^(?:Arrow|ClassMethod|ClassPrivateMethod)/.test(one.type)) return undefined;
  }
  return undefined;
}

function bodyOf(node: Node): readonly Node[] {
  const { body } = node as { body: Node };
  return body.type === "BlockStatement" ? body.body : [];
}

/** The first place in a constructor: after `super()`. */
function startOf(source: Source, body: readonly Node[]): App["top"] {
  const above = body.find((one) => /^super\b/.test(textOf(source, one)));
  if (above !== undefined) return { node: above, isAfter: true };
  return body[0] === undefined ? undefined : { node: body[0], isAfter: false };
}

function byOrder(a: Use, b: Use): number {
  const at = a.order.findIndex((one, i) => one !== b.order[i]);
  return at === -1 ? a.order.length - b.order.length : a.order[at]! - (b.order[at] ?? 0);
}
