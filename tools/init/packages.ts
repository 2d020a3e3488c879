import type { Binding } from "./bindings.js";
import { bare, type Node } from "./nodes.js";
import { type Source, textOf } from "./source.js";

/** One `import` or `require` of a package, with a name for it. */
export interface Imported {
  readonly package: string;
  readonly statement: Node;
  /** For `const x = require(…)`. */
  readonly declarator: Node | undefined;
  /** The name of the package's default export, of its namespace, or of what `require` returns. */
  readonly whole: Binding | undefined;
  /** Named members. */
  readonly members: ReadonlyMap<Binding, string>;
}

export function importsOf(source: Source): Imported[] {
  return source.nodes.flatMap((node) => {
    const one = importOf(source, node);
    return one === undefined ? [] : [one];
  });
}

function importOf(source: Source, node: Node): Imported | undefined {
  if (node.type === "ImportDeclaration") {
    if (node.importKind === "type") return undefined;
    let whole: Binding | undefined;
    const members = new Map<Binding, string>();
    for (const specifier of node.specifiers) {
      const binding = source.bindingOf(specifier.local);
      if (binding === undefined) continue;
      const imported = specifier.type === "ImportSpecifier" ? nameOf(specifier.imported) : "default";
      if (imported === "default") whole = binding;
      else members.set(binding, imported);
    }
    return { package: node.source.value, statement: node, declarator: undefined, whole, members };
  }
  if (
    node.type === "TSImportEqualsDeclaration" &&
    node.moduleReference.type === "TSExternalModuleReference"
  ) {
    const whole = source.bindingOf(node.id);
    const name = node.moduleReference.expression.value;
    return { package: name, statement: node, declarator: undefined, whole, members: new Map() };
  }
  if (node.type !== "VariableDeclarator") return undefined;
  const name = requiredPackage(source, node.init);
  const statement = source.parentOf(node);
  if (name === undefined || statement?.type !== "VariableDeclaration") return undefined;
  const members = new Map<Binding, string>();
  if (node.id.type === "ObjectPattern") {
    for (const one of node.id.properties) {
      if (one.type !== "ObjectProperty") continue;
      const binding = source.bindingOf(one.value);
      if (binding !== undefined) members.set(binding, nameOf(one.key));
    }
  }
  const whole = node.id.type === "Identifier" ? source.bindingOf(node.id) : undefined;
  return { package: name, statement, declarator: node, whole, members };
}

function nameOf(node: Node): string {
  return node.type === "Identifier" ? node.name : node.type === "StringLiteral" ? node.value : "";
}

/** What compilers put around a `require`: TypeScript, Babel, esbuild. */
const INTEROP =
  /^(?:tslib_\d+\.)?(?:__importDefault|__importStar|_interopRequireDefault\w*|_interopRequireWildcard\w*|__toESM)$/;

/** The package or file of `require("…")`, in compiled code with a function around it. */
export function requiredPackage(source: Source, given: Node | null | undefined): string | undefined {
  const node = bare(given);
  if (node?.type !== "CallExpression") return undefined;
  if (INTEROP.test(textOf(source, node.callee))) return requiredPackage(source, node.arguments[0] as Node);
  if (node.callee.type !== "Identifier") return undefined;
  if (node.callee.name !== "require" || source.bindingOf(node.callee) !== undefined) return undefined;
  const [name] = node.arguments;
  return name?.type === "StringLiteral" ? name.value : undefined;
}

/** `(0, cors_1.default)` is how compilers write a call without `this`. */
export function called(given: Node | null | undefined): Node | null | undefined {
  const node = bare(given);
  if (node?.type !== "SequenceExpression") return node;
  const [zero, last, other] = node.expressions;
  return zero?.type === "NumericLiteral" && other === undefined ? bare(last) : node;
}

/**
 * The package that an expression is the function of: `cors`, `cors.default`, `require("cors")`. With a member: `express.Router`,
 * `helmet.hsts`, or a name that was imported.
 */
export function packageOf(
  source: Source,
  imports: readonly Imported[],
  given: Node | null | undefined,
): { readonly package: string; readonly member: string | undefined } | undefined {
  const node = called(given);
  if (node?.type === "Identifier") {
    const binding = source.bindingOf(node);
    if (binding === undefined || binding.declarations.length > 1) return undefined;
    for (const one of imports) {
      if (one.whole === binding) return { package: one.package, member: undefined };
      const member = one.members.get(binding);
      if (member !== undefined)
        return { package: one.package, member: member === one.package ? undefined : member };
    }
    return undefined;
  }
  if (node?.type === "MemberExpression" && !node.computed && node.property.type === "Identifier") {
    const outer = packageOf(source, imports, node.object);
    if (outer === undefined || outer.member !== undefined) return undefined;
    return node.property.name === "default" ? outer : { ...outer, member: node.property.name };
  }
  const name = requiredPackage(source, node);
  return name === undefined ? undefined : { package: name, member: undefined };
}
