import { isTest, SOURCE, textIn } from "./files.js";
import { bare, type Node } from "./nodes.js";
import { called, importsOf, requiredPackage } from "./packages.js";
import { type Source, textOf } from "./source.js";
import type { App } from "./uses.js";

const { basename, dirname } = process.getBuiltinModule("node:path");

/** The files of a project. */
interface ProjectFiles {
  all(): readonly string[];
  source(file: string): Source | undefined;
  importedBy(file: string): readonly string[];
  /** Whether a name in an import of one file means another file. */
  means(from: string, name: string, target: string): boolean;
  shown(file: string): string;
}

/** Which other file may add to the app that a file gives away; undefined if none does. */
export function addsElsewhere(files: ProjectFiles, source: Source, app: App): string | undefined {
  let isImported = false;
  const name = basename(source.file).replace(SOURCE, "");
  const folder = basename(dirname(source.file));
  for (const file of files.all()) {
    if (file === source.file) continue;
    const text = textIn(file);
    const mayImport =
      text !== undefined && (text.includes(name) || text.includes(folder) || /["']\.\.?\/?["']/.test(text));
    if (!mayImport || !files.importedBy(file).includes(source.file)) continue;
    isImported = true;
    const other = files.source(file)!;
    const adding = addsTo(other, bindingsOf(files, other, source.file), app.property);
    if (adding !== undefined) return `${files.shown(file)}:${other.lineOf(adding)} may add to the app`;
  }
  const isReturned = app.maker !== undefined && app.uses.every(({ kind }) => kind !== "listens");
  if (!isReturned || isImported) return undefined;
  return app.property === undefined
    ? "a function returns the app, and no file of the project calls it: its callers may add routes"
    : "a class holds the app, and no file of the project uses the class: its users may add routes";
}

/** What a file calls the exports of another one. */
function bindingsOf(files: ProjectFiles, source: Source, target: string): Set<unknown> {
  const isTarget = (name: string) => files.means(source.file, name, target);
  const found = new Set<unknown>();
  for (const one of importsOf(source)) {
    if (!isTarget(one.package)) continue;
    if (one.whole !== undefined) found.add(one.whole);
    for (const binding of one.members.keys()) found.add(binding);
  }
  // `const app = createApp()`, `const { app } = made`, `let app; app = require("./app")()`
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const node of source.nodes) {
      const [to, from] =
        node.type === "VariableDeclarator"
          ? [node.id, node.init]
          : node.type === "AssignmentExpression"
            ? [node.left, node.right]
            : [];
      if (!from || !to || !comesFrom(source, from, found, isTarget)) continue;
      if (to.type === "Identifier") found.add(source.bindingOf(to));
      if (to.type === "ObjectPattern")
        for (const one of to.properties)
          if (one.type === "ObjectProperty") found.add(source.bindingOf(one.value));
    }
  }
  found.delete(undefined);
  return found;
}

/** Whether an expression is one of the bindings, a member of it, or the result of calling it. */
function comesFrom(
  source: Source,
  given: Node,
  found: ReadonlySet<unknown>,
  isTarget: (name: string) => boolean,
): boolean {
  let node = bare(given);
  for (;;) {
    if (node.type === "Identifier") return found.has(source.bindingOf(node));
    const required = requiredPackage(source, node);
    if (required !== undefined) return isTarget(required);
    if (node.type === "AwaitExpression") node = bare(node.argument);
    else if (node.type === "MemberExpression") node = bare(node.object);
    else if (node.type === "CallExpression" || node.type === "NewExpression")
      node = called(node.callee as Node)!;
    else return false;
  }
}

const ADDS = /^(?:use|all|route|param|get|post|put|delete|patch|head|options|ws)$/;
const TAKES_APP =
  /^(?:request|supertest|agent|createServer|listen|serve|inspect|serverless\w*|handle|log|expect|equal|on|set)$/i;

/** Where a file adds to the app that the bindings are, or that they hold in a property. */
function addsTo(
  source: Source,
  bindings: ReadonlySet<unknown>,
  property: string | undefined,
): Node | undefined {
  const isInTest = isTest(source.file);
  return source.nodes.find((node) => {
    // The routes of a class that extends the one that holds the app.
    if ((node.type === "ClassDeclaration" || node.type === "ClassExpression") && property !== undefined)
      return (
        node.superClass?.type === "Identifier" &&
        bindings.has(source.bindingOf(node.superClass)) &&
        textOf(source, node).includes(`this.${property}`)
      );
    if (node.type !== "CallExpression") return false;
    const { callee } = node;
    const isApp = (one: Node) => {
      const inner = bare(one);
      if (inner.type === "Identifier") return bindings.has(source.bindingOf(inner));
      return (
        inner.type === "MemberExpression" &&
        inner.object.type === "Identifier" &&
        bindings.has(source.bindingOf(inner.object)) &&
        (/^(?:app|default|server)$/.test(textOf(source, inner.property)) ||
          textOf(source, inner.property) === property)
      );
    };
    if (callee.type === "MemberExpression" && isApp(callee.object)) {
      const method = textOf(source, callee.property);
      return (
        ADDS.test(method) && (node.arguments.length > 1 || (method === "use" && node.arguments.length > 0))
      );
    }
    const name = textOf(source, callee).split(".").at(-1)!;
    return (
      !isInTest &&
      callee.type !== "MemberExpression" &&
      !TAKES_APP.test(name) &&
      node.arguments.some((one) => one.type === "Identifier" && isApp(one))
    );
  });
}
