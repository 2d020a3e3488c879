import { apply, insert } from "./edits.js";
import { PACKAGE } from "./imports.js";
import { parseExpression } from "./libraries.cjs";
import { keyOf, type Node } from "./nodes.js";

type ObjectNode = Extract<Node, { type: "ObjectExpression" }>;

/** package.json with this package among its dependencies; all other bytes stay. Undefined if it cannot be read. */
export function withDependency(text: string, range: string): string | undefined {
  let root: Node;
  try {
    JSON.parse(text);
    root = parseExpression(text);
  } catch {
    return undefined;
  }
  if (root.type !== "ObjectExpression") return undefined;
  const lists = ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"].flatMap(
    (name) => member(root as ObjectNode, name) ?? [],
  );
  if (lists.some((list) => list.properties.some((one) => keyOf(one) === PACKAGE))) return text;
  const { colon, comma, padding } = spacesOf(text, root);
  const entry = `${JSON.stringify(PACKAGE)}${colon}${JSON.stringify(range)}`;
  const list = member(root, "dependencies");
  if (list !== undefined) return withProperty(text, list, PACKAGE, entry, { comma, padding });
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const indent = /\n([ \t]+)"/.exec(text)?.[1];
  const value =
    indent === undefined
      ? `{${padding}${entry}${padding}}`
      : `{${eol}${indent}${indent}${entry}${eol}${indent}}`;
  return withProperty(text, root, undefined, `"dependencies"${colon}${value}`, { comma, padding });
}

/** The spaces of the file, so that what is added has the same: after a colon, after a comma, and inside of braces. */
function spacesOf(text: string, { properties }: ObjectNode) {
  const [first, second] = properties;
  const colon = first?.type === "ObjectProperty" ? text.slice(first.key.end!, first.value.start!) : ": ";
  const comma = first && second ? text.slice(first.end!, second.start!).replace(/^\s*,/, "") : undefined;
  const isLine = !/[\r\n]/.test(text.trim());
  const [, inside = ""] = /^\{([ \t]*)/.exec(text.trim()) ?? [];
  const padding = isLine && first !== undefined ? inside : " ";
  return { colon, comma: comma ?? (colon.endsWith(" ") ? " " : ""), padding };
}

function member(object: ObjectNode, name: string): ObjectNode | undefined {
  const property = object.properties.find((one) => keyOf(one) === name);
  return property?.type === "ObjectProperty" && property.value.type === "ObjectExpression"
    ? property.value
    : undefined;
}

/** In the place of the alphabet if the others are sorted, else at the end. */
function withProperty(
  text: string,
  object: ObjectNode,
  name: string | undefined,
  entry: string,
  { comma, padding }: { readonly comma: string; readonly padding: string },
): string {
  const { properties } = object;
  const keys = properties.map((one) => keyOf(one) ?? "");
  const isSorted = keys.every((key, i) => i === 0 || keys[i - 1]! <= key);
  const at = name !== undefined && isSorted ? properties.findIndex((one) => keyOf(one)! > name) : -1;
  const following = properties[at];
  const last = properties.at(-1);
  const { start, end } = object;
  if (last === undefined)
    return apply(text, [{ start: start! + 1, end: end! - 1, text: `${padding}${entry}${padding}` }]);
  // Lines of their own if the others have them; on one line what is between the others.
  const [lines] = /^\s*/.exec(text.slice(start! + 1))!;
  const [one, two] = properties;
  const between = /[\r\n]/.test(lines)
    ? lines
    : two === undefined
      ? comma.replace(/\s*[\r\n]\s*/, " ")
      : text.slice(one!.end!, two.start!).replace(/^\s*,/, "");
  if (following !== undefined) return apply(text, [insert(following.start!, `${entry},${between}`)]);
  return apply(text, [insert(last.end!, `,${between}${entry}`)]);
}
