import { isFunction, type Node } from "./nodes.js";
import { type Source, textOf } from "./source.js";

/** An app that a file makes: `const app = express()`, or `this.app = express()` in a class. */
export interface App {
  /** How it is written: `app`, `this.app`. */
  readonly name: string;
  /** What has that name: a variable, or a class. */
  readonly owner: unknown;
  /** The property of the class. */
  readonly property: string | undefined;
  /** The statement that makes it. */
  readonly made: Node;
  /** Where something can be added before all that is certain; undefined if there is no such place. */
  readonly top: { readonly node: Node; readonly isAfter: boolean } | undefined;
  /** The function around it, if there is one. */
  readonly maker: Node | undefined;
  readonly uses: readonly Use[];
}

/** What is done with the app at one place. */
export interface Use {
  readonly node: Node;
  /**
   * `adds`: middleware or routes. `passes`: it is given to a function, which may add some. `extends`: it gets other methods.
   * `renames`: it gets another name.
   */
  readonly kind: "adds" | "passes" | "extends" | "renames" | "leaves" | "listens" | "other";
  /** The method, for `adds` and `listens`. */
  readonly method: string | undefined;
  readonly call: Extract<Node, { type: "CallExpression" }> | undefined;
  /** The statement that it is in, of a list whose place in the order is known. */
  readonly statement: Node | undefined;
  /** That list. */
  readonly list: readonly Node[];
  /** The places of the statements, from the outermost list to this one. */
  readonly order: readonly number[];
  /** The function around it, if when that runs is not known. */
  readonly within: Node | undefined;
}

const ADDING = new Set([
  ...["use", "all", "route", "param", "get", "post", "put", "delete", "del", "patch", "head", "options"],
  ...[
    "copy",
    "lock",
    "mkcol",
    "move",
    "purge",
    "propfind",
    "proppatch",
    "report",
    "search",
    "subscribe",
    "unlock",
    "ws",
    "link",
  ],
]);

/** Functions that take the app and add nothing to it. */
const READING =
  /^(?:(?:https?|http2|spdy)?\.?createServer|createSecureServer|Server|supertest|request|agent|serverless\w*|serve|inspect|checkPipeline|describePipeline|contract|log|debug|info|String|Object|on|set|vhost|listen)$/;

/** Functions that give the app other methods: `merge(app, proto)`. */
const EXTENDING = /^(?:_?extend|merge|mixin|assign|defineProperty|defineProperties|setPrototypeOf)$/;

export function isAdding(method: string): boolean {
  return ADDING.has(method);
}

export function kindOf(
  source: Source,
  node: Node,
): Pick<Use, "kind"> & Partial<Pick<Use, "method" | "call">> {
  const parent = source.parentOf(node);
  const outer = parent && source.parentOf(parent);
  if (parent?.type === "MemberExpression" && parent.object === node) {
    if (outer?.type !== "CallExpression" || outer.callee !== parent) return { kind: "other" };
    if (parent.computed) return { kind: "adds", method: undefined, call: outer };
    const method = parent.property.type === "Identifier" ? parent.property.name : "";
    if (method === "listen") return { kind: "listens", method, call: outer };
    const isSetting = method === "get" && outer.arguments.length < 2;
    const adds = ADDING.has(method) || method.includes("-");
    return adds && !isSetting ? { kind: "adds", method, call: outer } : { kind: "other", method };
  }
  if (parent?.type === "CallExpression" || parent?.type === "NewExpression") {
    if (parent.callee === node) return { kind: "other" };
    const callee = textOf(source, parent.callee).split(".").at(-1)!;
    if (EXTENDING.test(callee) && parent.arguments[0] === node) return { kind: "extends" };
    const required = parent.callee.type === "CallExpression" ? textOf(source, parent.callee) : undefined;
    if (required === undefined && READING.test(callee)) return { kind: "other" };
    if (/^require\(['"]supertest['"]\)$/.test(required ?? "")) return { kind: "other" };
    // `outer.use("/api", app)` mounts this app.
    const isMounting = parent.callee.type === "MemberExpression" && ADDING.has(callee);
    return { kind: isMounting ? "other" : "passes" };
  }
  if (parent?.type === "ObjectProperty" && parent.value === node) {
    for (let one: Node | undefined = outer; one !== undefined; one = source.parentOf(one)) {
      if (one.type === "CallExpression" || one.type === "NewExpression") return { kind: "passes" };
      if (!/^(?:Object|Array)/.test(one.type)) break;
    }
    return { kind: "leaves" };
  }
  if (parent?.type === "VariableDeclarator" && parent.init === node) return { kind: "renames" };
  const leaves =
    /^(?:Return|Export|ArrowFunction)/.test(parent?.type ?? "") ||
    (parent?.type === "AssignmentExpression" && parent.right === node);
  return { kind: leaves ? "leaves" : "other" };
}

/** The function around a node. One that runs at once for each of a list, `routes.forEach((route) => …)`, does not count. */
export function functionAround(source: Source, node: Node): Node | undefined {
  for (let outer = source.parentOf(node); outer !== undefined; outer = source.parentOf(outer))
    if (isFunction(outer) && !runsAtOnce(source, outer)) return outer;
  return undefined;
}

function runsAtOnce(source: Source, node: Node): boolean {
  const call = source.parentOf(node);
  return (
    call?.type === "CallExpression" &&
    call.arguments[0] === node &&
    !(node as { async?: boolean }).async &&
    call.callee.type === "MemberExpression" &&
    !call.callee.computed &&
    call.callee.property.type === "Identifier" &&
    /^(?:forEach|map)$/.test(call.callee.property.name)
  );
}

/** The statements of a block, a function or a file. */
export function listOf(node: Node): readonly Node[] | undefined {
  return node.type === "Program" || node.type === "BlockStatement" ? node.body : undefined;
}

/** The statement of a list that a node is in. */
export function statementIn(source: Source, node: Node, list: readonly Node[]): Node | undefined {
  let statement: Node | undefined = node;
  while (statement !== undefined && !list.includes(statement)) statement = source.parentOf(statement);
  return statement;
}
