import type { Node } from "@babel/types";

export type { Comment, File, Node } from "@babel/types";

export function isName(node: Node): node is Extract<Node, { type: "Identifier" | "JSXIdentifier" }> {
  return node.type === "Identifier" || node.type === "JSXIdentifier";
}

type Visit = (node: Node, parent: Node | undefined) => void;

export function walk(node: Node, parent: Node | undefined, visit: Visit): void {
  visit(node, parent);
  for (const child of childrenOf(node)) walk(child, node, visit);
}

const NOT_CHILDREN = new Set(["loc", "extra", "leadingComments", "innerComments", "trailingComments"]);

function childrenOf(node: Node): Node[] {
  const children = Object.entries(node)
    .filter(([key]) => !NOT_CHILDREN.has(key))
    .flatMap(([, value]) => (Array.isArray(value) ? value : [value]))
    .filter((value): value is Node => typeof value?.type === "string" && typeof value.start === "number");
  return children.sort((a, b) => a.start! - b.start!);
}

export function isFunction(node: Node | undefined): boolean {
  return /^(?:Function|ArrowFunction|ObjectMethod|ClassMethod|ClassPrivateMethod|TSDeclareFunction)/.test(
    node?.type ?? "",
  );
}

/** The expression without TypeScript's `as`, `!`, `satisfies` and casts. */
export function bare<Given extends Node | null | undefined>(node: Given): Given {
  let inner: Node | null | undefined = node;
  while (
    inner?.type === "TSAsExpression" ||
    inner?.type === "TSNonNullExpression" ||
    inner?.type === "TSSatisfiesExpression" ||
    inner?.type === "TSTypeAssertion" ||
    inner?.type === "ParenthesizedExpression"
  )
    inner = inner.expression;
  return inner as Given;
}

/** The name of a property that is written without brackets. */
export function keyOf(node: Node): string | undefined {
  if (node.type !== "ObjectProperty" && node.type !== "ObjectMethod") return undefined;
  if (node.computed) return undefined;
  if (node.key.type === "Identifier") return node.key.name;
  return node.key.type === "StringLiteral" ? node.key.value : undefined;
}
