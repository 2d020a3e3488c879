import { isFunction, type Node } from "./nodes.js";
import { type Source, textOf } from "./source.js";
import { type App, functionAround, statementIn, type Use } from "./uses.js";

/** Where the outermost middleware of an app goes, and where what goes last. */
export interface Positions {
  /** The first statement that adds something; undefined if that is not certain. */
  readonly first: Node | undefined;
  /** The last one; what comes after it is reached by requests that nothing has answered. */
  readonly last: Node | undefined;
  readonly whyNoLast: Reason | undefined;
  /** Whether both are in the same list of statements, so that a variable of one is seen by the other. */
  readonly isOneList: boolean;
  readonly hasNotFound: boolean;
}

export interface Reason {
  readonly node: Node;
  readonly reason: string;
}

export function positionsOf(source: Source, app: App): Positions {
  const adding = app.uses.filter(({ kind }) => kind === "adds" || kind === "passes" || kind === "renames");
  const isCertain = ({ kind, within, statement }: Use) =>
    kind !== "renames" && within === undefined && statement !== undefined;
  const direct = adding.filter(isCertain);
  const later = adding.find((one) => !isCertain(one));
  const first = direct[0];
  const last = direct.at(-1);
  const whyNoLast =
    later === undefined ? returnsBefore(source, last) : { node: later.node, reason: whyNot(later) };
  return {
    // What a function adds may come before the first statement: only directly after the app is made it is certain.
    first: later === undefined ? first?.statement : undefined,
    last: whyNoLast === undefined ? last?.statement : undefined,
    whyNoLast,
    isOneList: first?.list === last?.list,
    hasNotFound: hasOwnNotFound(source, direct),
  };
}

function whyNot({ kind }: Use): string {
  return kind === "renames"
    ? "the app gets another name, and what is added by that name is not followed"
    : "a function adds to the app, and when it runs is not known";
}

/** Code after a `return` may not run. */
function returnsBefore(source: Source, last: Use | undefined): Reason | undefined {
  if (last === undefined) return undefined;
  const early = source.nodes.find(
    (one) =>
      (one.type === "ReturnStatement" || one.type === "ThrowStatement") &&
      one.start! < last.statement!.end! &&
      statementIn(source, one, last.list) !== undefined &&
      functionAround(source, one) === functionAround(source, last.statement!) &&
      // With `if (…) throw …` the app does not start.
      (one.type === "ReturnStatement" ? !isInRepeated(source, one) : last.list.includes(one)),
  );
  return early && { node: early, reason: "the function returns while it adds to the app" };
}

/** Whether a `return` ends one round of `forEach` only. */
function isInRepeated(source: Source, node: Node): boolean {
  for (let one = source.parentOf(node); one !== undefined; one = source.parentOf(one))
    if (isFunction(one)) return one !== functionAround(source, node);
  return false;
}

/** Whether the last that is added, error handlers aside, answers every request: a 404 handler, or a page for all paths. */
function hasOwnNotFound(source: Source, direct: readonly Use[]): boolean {
  for (const use of direct.toReversed()) {
    const { call, method } = use;
    if (call === undefined) return false;
    const [path, ...others] = call.arguments;
    const isForAll = method === "use" && others.length === 0;
    const handler = call.arguments.at(-1)!;
    const parameters = (functionOf(source, handler) as { params: readonly Node[] } | undefined)?.params
      .length;
    const name = parameters === undefined ? nameOf(source, handler) : "";
    const isNotFound = /not_?found|404/i.test(name);
    if (isForAll && !isNotFound && (parameters === 4 || /err|exception/i.test(name))) continue;
    if (use.statement !== source.parentOf(call)) return false; // under a condition
    if (isForAll) return parameters !== undefined || isNotFound;
    const isEverywhere = path?.type === "StringLiteral" && /^(?:\/?\*|\/\*\w+|\/\{\*\w+\})$/.test(path.value);
    return isEverywhere && (method === "all" || method === "get" || method === "use");
  }
  return false;
}

/** The name of a handler, or of the function that makes it: `errorHandler`, `error.handler`, `errorHandler()`. */
function nameOf(source: Source, node: Node): string {
  const named = node.type === "CallExpression" ? node.callee : node;
  return named.type === "Identifier" || named.type === "MemberExpression" ? textOf(source, named) : "";
}

function functionOf(source: Source, node: Node | undefined): Node | undefined {
  if (node === undefined) return undefined;
  if (isFunction(node)) return node;
  const [declaration] = source.bindingOf(node)?.declarations ?? [];
  const declared = declaration && source.parentOf(declaration);
  if (isFunction(declared)) return declared;
  const init = declared?.type === "VariableDeclarator" ? declared.init : undefined;
  return init && isFunction(init) ? init : undefined;
}
