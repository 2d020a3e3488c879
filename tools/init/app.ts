import type { Binding } from "./bindings.js";
import { bare, type Node } from "./nodes.js";
import { type Imported, packageOf } from "./packages.js";
import { propertyAppOf } from "./property-app.js";
import { type Source, textOf } from "./source.js";
import { type App, functionAround, isAdding, kindOf, listOf, statementIn, type Use } from "./uses.js";

/** An app without a name by which its uses can be followed. */
export interface Unnamed {
  readonly node: Node;
  readonly why: string;
}

/** Everything that makes an Express app in a file: the apps with a name, and the places of those without. */
export function appsOf(
  source: Source,
  imports: readonly Imported[],
): { readonly apps: readonly App[]; readonly unnamed: readonly Unnamed[] } {
  const unnamed: Unnamed[] = [];
  const apps: App[] = [];
  for (const node of source.nodes) {
    if (node.type !== "CallExpression") continue;
    const from = packageOf(source, imports, node.callee);
    if (from?.package !== "express" || from.member !== undefined) continue;
    const app = appMadeBy(source, node);
    if (typeof app === "string") unnamed.push({ node, why: app });
    else if (!apps.some(({ owner, name }) => owner === app.owner && name === app.name)) apps.push(app);
  }
  return { apps, unnamed };
}

/** The app, or why it cannot be followed. */
function appMadeBy(source: Source, call: Node): App | string {
  let node = call;
  let parent = source.parentOf(node);
  let identifier: Node | undefined;
  let target: Node | undefined;
  while (parent !== undefined) {
    if (bare(parent) !== parent && bare(parent) === bare(node)) {
      // `express() as Express`
    } else if (parent.type === "AssignmentExpression" && parent.right === node) {
      if (parent.left.type === "Identifier") identifier ??= parent.left;
      else target ??= parent.left;
    } else if (parent.type === "VariableDeclarator" && parent.init === node) {
      if (parent.id.type === "Identifier") identifier = parent.id;
    } else break;
    node = parent;
    parent = source.parentOf(node);
  }
  if (identifier !== undefined) return variableApp(source, call, identifier);
  if (parent !== undefined && /^Class(?:Private)?Property$/.test(parent.type)) target = parent;
  if (target !== undefined) return propertyAppOf(source, target);
  return parent?.type === "CallExpression" || parent?.type === "NewExpression"
    ? `it is given to ${textOf(source, parent.callee as Node)} at once, and has no name`
    : "it has no name";
}

function variableApp(source: Source, call: Node, identifier: Node): App | string {
  const binding = source.bindingOf(identifier);
  const { name } = identifier as { name: string };
  if (binding === undefined) return `${name} is declared nowhere in this file`;
  const place = placeIn(source, call);
  if (binding.declarations.length !== 1 || isAssignedTwice(source, binding))
    return `${name} is given a value at more than one place`; // the name does not mean one app
  if (place === undefined) return "it is made in an export";
  const maker = functionAround(source, call);
  const list = listOf(place.list)!;
  const uses = binding.references
    .filter((one) => one !== identifier)
    .map((one) => useOf(source, one, list, maker))
    .sort((a, b) => a.node.start! - b.node.start!);
  const top = { node: place.statement, isAfter: true };
  return { name, owner: binding, property: undefined, made: place.statement, top, maker, uses };
}

function isAssignedTwice(source: Source, { declarations, references }: Binding): boolean {
  const assigned = references.filter((one) => {
    const parent = source.parentOf(one);
    return parent?.type === "AssignmentExpression" && parent.left === one;
  });
  const declared = source.parentOf(declarations[0]!);
  const hasValue = declared?.type === "VariableDeclarator" && declared.init;
  return assigned.length + (hasValue ? 1 : 0) > 1;
}

function placeIn(source: Source, node: Node): { statement: Node; list: Node } | undefined {
  let statement = node;
  for (let list = source.parentOf(node); list !== undefined; list = source.parentOf(list)) {
    if (listOf(list) !== undefined) {
      const isExport = source.parentOf(statement)?.type.startsWith("Export");
      return isExport ? undefined : { statement, list };
    }
    statement = list;
  }
  return undefined;
}

function useOf(source: Source, node: Node, list: readonly Node[], maker: Node | undefined): Use {
  const around = functionAround(source, node);
  const statement = statementIn(source, node, list);
  const within = around === maker ? undefined : around;
  const order = statement === undefined ? [] : [list.indexOf(statement), node.start!];
  const found = kindOf(source, node);
  return { node, statement, list, order, within, method: undefined, call: undefined, ...found };
}

/** Whether the app is mounted in another one of the file: `outer.use("/api", app)`. */
export function isMounted(source: Source, app: App): boolean {
  return app.uses.some(({ node }) => {
    const parent = source.parentOf(node);
    if (parent?.type !== "CallExpression" && parent?.type !== "NewExpression") return false;
    if (parent.callee === node) return false;
    const callee = textOf(source, parent.callee).split(".").at(-1)!;
    return isAdding(callee) || callee === "vhost";
  });
}

/** Whether the app can be seen outside the file, or outside the function that makes it. */
export function leavesFile(source: Source, app: App): boolean {
  const exported = app.property === undefined ? textOf(source, app.made) : source.text;
  return app.uses.some(({ kind }) => kind === "leaves") || /\bexports\b|^\s*export\b/m.test(exported);
}
