import { type Binding, bind } from "./bindings.js";
import { parse } from "./libraries.cjs";
import { type Comment, type File, type Node, walk } from "./nodes.js";

/** A parsed file. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly program: File["program"];
  readonly comments: readonly Comment[];
  readonly bindings: readonly Binding[];
  /** Every node, in the order of the text. */
  readonly nodes: readonly Node[];
  readonly style: Style;
  parentOf(node: Node): Node | undefined;
  /** The binding that an identifier means. */
  bindingOf(node: Node): Binding | undefined;
  lineOf(node: Node | number): number;
}

/** How the file is written, so that what is added looks the same. */
export interface Style {
  readonly eol: string;
  readonly quote: string;
  readonly semicolon: string;
  readonly isModule: boolean;
  /** `var` in files that have nothing else. */
  readonly variable: "const" | "var";
}

/** @throws {SyntaxError} for what the parser cannot read */
export function readSource(file: string, text: string): Source {
  const isTypeScript = /\.[cm]?tsx?$/.test(file);
  const { program, comments } = parse(text, {
    sourceType: "unambiguous",
    allowReturnOutsideFunction: true,
    allowAwaitOutsideFunction: true,
    plugins: [
      ...(isTypeScript ? (["typescript"] as const) : []),
      ...(isTypeScript && !file.endsWith("x") ? [] : (["jsx"] as const)),
      "decorators-legacy",
    ],
  });
  const nodes: Node[] = [];
  const parents = new Map<Node, Node>();
  walk(program, undefined, (node, parent) => {
    nodes.push(node);
    if (parent !== undefined) parents.set(node, parent);
  });
  const parentOf = (node: Node) => parents.get(node);
  const { bindings, byIdentifier } = bind(nodes, parentOf);
  const lines = [0, ...[...text.matchAll(/\r\n|\n|\r/g)].map(({ index, 0: end }) => index + end.length)];
  return {
    ...{ file, text, program, nodes, bindings, parentOf },
    comments: comments ?? [],
    style: styleOf(text, program, nodes),
    bindingOf: (node) => byIdentifier.get(node),
    lineOf(at) {
      const offset = typeof at === "number" ? at : at.start!;
      return lines.findLastIndex((start) => start <= offset) + 1;
    },
  };
}

function styleOf(text: string, program: File["program"], nodes: readonly Node[]): Style {
  const strings = nodes.filter(({ type }) => type === "StringLiteral").map(({ start }) => text[start!]);
  const count = (quote: string) => strings.filter((one) => one === quote).length;
  const statements = program.body.filter(({ type }) =>
    /^(?:ExpressionStatement|VariableDeclaration|ImportDeclaration)$/.test(type),
  );
  const ended = statements.filter(({ end }) => text[end! - 1] === ";").length;
  const crlf = text.split("\r\n").length - 1;
  const kinds = nodes.flatMap((node) => (node.type === "VariableDeclaration" ? [node.kind] : []));
  return {
    eol: crlf > (text.split("\n").length - 1) / 2 ? "\r\n" : "\n",
    quote: count("'") >= count('"') && count("'") > 0 ? "'" : '"',
    semicolon: ended * 2 >= statements.length ? ";" : "",
    isModule: program.sourceType === "module",
    variable: kinds.length > 0 && kinds.every((kind) => kind === "var") ? "var" : "const",
  };
}

export function textOf({ text }: Source, node: Node): string {
  return text.slice(node.start!, node.end!);
}

/** Whether a comment begins in a part of the text. */
export function hasComment({ comments }: Source, from: number, to: number): boolean {
  return comments.some(({ start, end }) => start! < to && end! > from);
}
