import { isFunction, isName, type Node } from "./nodes.js";

/** A name in one scope. Two variables of one name in different scopes are two bindings. */
export interface Binding {
  readonly name: string;
  /** The scope that declares it. */
  readonly scope: Node;
  /** The identifier of each declaration. */
  readonly declarations: Node[];
  /** All other identifiers that mean it. */
  readonly references: Node[];
}

const BLOCKS =
  /^(?:Program|BlockStatement|For\w*Statement|CatchClause|SwitchStatement|StaticBlock|TSModuleBlock|Class\w+)$/;

function isScope(node: Node): boolean {
  return isFunction(node) || BLOCKS.test(node.type);
}

/** Finds what each identifier means: the nearest scope around it that declares its name. */
export function bind(nodes: readonly Node[], parentOf: (node: Node) => Node | undefined) {
  const scopes = new Map<Node, Map<string, Binding>>();
  const byIdentifier = new Map<Node, Binding>();
  const bindings: Binding[] = [];
  const declare = (scope: Node, identifier: Node, name: string) => {
    const known = scopes.get(scope) ?? new Map<string, Binding>();
    scopes.set(scope, known);
    let binding = known.get(name);
    if (binding === undefined) {
      binding = { name, scope, declarations: [], references: [] };
      known.set(name, binding);
      bindings.push(binding);
    }
    binding.declarations.push(identifier);
    byIdentifier.set(identifier, binding);
  };
  const around = (node: Node, matches: (node: Node) => boolean): Node => {
    let scope = parentOf(node)!;
    while (!matches(scope)) scope = parentOf(scope)!;
    return scope;
  };
  for (const node of nodes) {
    for (const [identifier, isVar] of declaredBy(node)) {
      const from = isFunction(node) && identifier !== idOf(node) ? node : undefined;
      const isOwnName = /^(?:FunctionExpression|ClassExpression)$/.test(node.type);
      const scope =
        from ??
        (isOwnName || node.type === "CatchClause"
          ? node
          : around(
              node,
              isVar
                ? (one) => isFunction(one) || /^(?:Program|StaticBlock|TSModuleBlock)$/.test(one.type)
                : isScope,
            ));
      declare(scope, identifier, (identifier as { name: string }).name);
    }
  }
  for (const node of nodes) {
    if (!isName(node) || byIdentifier.has(node) || isKey(node, parentOf(node))) continue;
    for (let scope = parentOf(node); scope !== undefined; scope = parentOf(scope)) {
      const binding = scopes.get(scope)?.get(node.name);
      if (binding === undefined) continue;
      binding.references.push(node);
      byIdentifier.set(node, binding);
      break;
    }
  }
  return { bindings, byIdentifier };
}

function idOf(node: Node): Node | null | undefined {
  return "id" in node ? (node.id as Node | null | undefined) : undefined;
}

/** The identifiers that a node declares, and whether they belong to the function around it. */
function declaredBy(node: Node): [identifier: Node, isVar: boolean][] {
  const all = (list: readonly Node[], isVar = false) =>
    list.map((identifier): [Node, boolean] => [identifier, isVar]);
  switch (node.type) {
    case "VariableDeclaration":
      return all(
        node.declarations.flatMap(({ id }) => namesIn(id)),
        node.kind === "var",
      );
    case "ImportSpecifier":
    case "ImportDefaultSpecifier":
    case "ImportNamespaceSpecifier":
      return all([node.local]);
    case "CatchClause":
      return all(node.param ? namesIn(node.param) : []);
    case "FunctionDeclaration":
    case "FunctionExpression":
    case "ArrowFunctionExpression":
    case "ObjectMethod":
    case "ClassMethod":
    case "ClassPrivateMethod":
      return all([...(idOf(node) ? [idOf(node)!] : []), ...node.params.flatMap((param) => namesIn(param))]);
    case "ClassDeclaration":
    case "ClassExpression":
    case "TSEnumDeclaration":
    case "TSInterfaceDeclaration":
    case "TSTypeAliasDeclaration":
    case "TSDeclareFunction":
    case "TSImportEqualsDeclaration":
      return all(idOf(node) ? [idOf(node)!] : []);
    default:
      return [];
  }
}

/** The identifiers in a pattern. */
function namesIn(node: Node): Node[] {
  switch (node.type) {
    case "Identifier":
      return [node];
    case "ObjectPattern":
      return node.properties.flatMap((one) => namesIn(one.type === "RestElement" ? one.argument : one.value));
    case "ArrayPattern":
      return node.elements.flatMap((one) => (one === null ? [] : namesIn(one)));
    case "AssignmentPattern":
      return namesIn(node.left);
    case "RestElement":
      return namesIn(node.argument);
    case "TSParameterProperty":
      return namesIn(node.parameter);
    default:
      return [];
  }
}

/** Whether an identifier is the name of a property, a label or an imported name, and no variable. */
function isKey(node: Node, parent: Node | undefined): boolean {
  switch (parent?.type) {
    case "MemberExpression":
    case "OptionalMemberExpression":
      return parent.property === node && !parent.computed;
    case "ObjectProperty":
      return parent.key === node && !parent.computed;
    case "ObjectMethod":
    case "ClassMethod":
    case "ClassProperty":
    case "TSPropertySignature":
    case "TSMethodSignature":
      return parent.key === node && !parent.computed;
    case "ImportSpecifier":
      return parent.imported === node;
    case "ExportSpecifier":
      return parent.exported === node && parent.local !== node;
    case "LabeledStatement":
    case "BreakStatement":
    case "ContinueStatement":
    case "MetaProperty":
      return true;
    case "TSQualifiedName":
      return parent.right === node;
    default:
      return false;
  }
}
