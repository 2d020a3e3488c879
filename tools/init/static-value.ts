import { bare, isFunction, keyOf, type Node } from "./nodes.js";
import type { Source } from "./source.js";

/** Stands for a value that is known only when the app runs. */
export class Unknown {
  readonly node: Node;
  /** It is a text whatever its parts are: a template, a sum with a text. */
  readonly isText: boolean;
  /** It is text or undefined: a variable of the environment, maybe with another value after `||` or `??`. */
  readonly isEnvironment: boolean;

  constructor(node: Node, isText = false, isEnvironment = false) {
    this.node = node;
    this.isText = isText;
    this.isEnvironment = isEnvironment;
  }
}

/** What is written: literals, lists, objects, functions as they are in the source, and constants of the same file. */
export function staticValue(source: Source, given: Node): unknown {
  const node = bare(given);
  switch (node.type) {
    case "StringLiteral":
    case "NumericLiteral":
    case "BooleanLiteral":
      return node.value;
    case "NullLiteral":
      return null;
    case "RegExpLiteral":
      return new RegExp(node.pattern, node.flags);
    case "TemplateLiteral":
      return node.expressions.length === 0 ? node.quasis[0]!.value.cooked : new Unknown(node, true);
    case "ArrayExpression":
      return node.elements.map((one) => (one === null ? undefined : staticValue(source, one)));
    case "ObjectExpression":
      return objectValue(source, node.properties) ?? new Unknown(node);
    case "UnaryExpression": {
      const value = staticValue(source, node.argument);
      if (node.operator === "-" && typeof value === "number") return -value;
      if (node.operator === "!" && !isUnknown(value)) return !value;
      return new Unknown(node);
    }
    case "BinaryExpression":
      return binaryValue(source, node);
    case "LogicalExpression": {
      const left = staticValue(source, node.left);
      const right = staticValue(source, node.right);
      const isText = left instanceof Unknown && left.isEnvironment && typeof right === "string";
      return new Unknown(node, isText && node.operator !== "&&", isText);
    }
    case "Identifier":
      return node.name === "undefined" ? undefined : constantValue(source, node);
    case "MemberExpression":
      return new Unknown(node, false, /^process\.env\.\w+$/.test(source.text.slice(node.start!, node.end!)));
    default:
      return isFunction(node) ? functionLike(node) : new Unknown(node);
  }
}

export function isUnknown(value: unknown): value is Unknown {
  return value instanceof Unknown;
}

/** Whether a value, or a part of it, is not known. */
export function hasUnknown(value: unknown): boolean {
  if (value instanceof Unknown) return true;
  if (Array.isArray(value)) return value.some(hasUnknown);
  return typeof value === "object" && value !== null && !(value instanceof RegExp)
    ? Object.values(value).some(hasUnknown)
    : false;
}

function objectValue(source: Source, properties: readonly Node[]): Record<string, unknown> | undefined {
  const value: Record<string, unknown> = {};
  for (const one of properties) {
    const key = keyOf(one);
    if (key === undefined) return undefined; // spread, or a computed name
    value[key] = one.type === "ObjectProperty" ? staticValue(source, one.value) : functionLike(one);
  }
  return value;
}

function binaryValue(source: Source, node: Extract<Node, { type: "BinaryExpression" }>): unknown {
  const left = staticValue(source, node.left);
  const right = staticValue(source, node.right);
  if (typeof left === "number" && typeof right === "number") {
    if (node.operator === "*") return left * right;
    if (node.operator === "+") return left + right;
    if (node.operator === "-") return left - right;
    if (node.operator === "/") return left / right;
  }
  if (node.operator === "+") {
    if (typeof left === "string" && typeof right === "string") return left + right;
    const isText = [left, right].some((one) => typeof one === "string" || (isUnknown(one) && one.isText));
    return new Unknown(node, isText);
  }
  return new Unknown(node);
}

/** The value of a `const` that nothing changes, or of a `var` or `let` that is never assigned again. */
function constantValue(source: Source, node: Node): unknown {
  const binding = source.bindingOf(node);
  const [declaration] = binding?.declarations ?? [];
  const declarator = declaration && source.parentOf(declaration);
  if (declarator?.type === "FunctionDeclaration") return functionLike(declarator);
  if (binding?.declarations.length !== 1 || declarator?.type !== "VariableDeclarator")
    return new Unknown(node);
  if (declarator.id !== declaration || !declarator.init) return new Unknown(node);
  return binding.references.some((one) => isChanged(source, one))
    ? new Unknown(node)
    : staticValue(source, declarator.init);
}

/** Whether an identifier is assigned to, or something in it is, or a method of it is called. */
function isChanged(source: Source, node: Node): boolean {
  let inner: Node = node;
  let parent = source.parentOf(inner);
  while (parent?.type === "MemberExpression" && parent.object === inner) {
    inner = parent;
    parent = source.parentOf(inner);
  }
  if (parent?.type === "AssignmentExpression") return parent.left === inner;
  if (parent?.type === "UpdateExpression") return true;
  if (parent?.type === "UnaryExpression") return parent.operator === "delete";
  return parent?.type === "CallExpression" && parent.callee === inner && inner !== node;
}

/** A function with as many parameters as the one in the source; it is never called. */
function functionLike(node: Node): unknown {
  const { params = [] } = node as { params?: readonly Node[] };
  return Object.defineProperty(() => undefined, "length", { value: params.length });
}
