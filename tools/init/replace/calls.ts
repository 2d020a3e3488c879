import type { Draft } from "../draft.js";
import { type Edit, hasEditComment, Refusal } from "../edits.js";
import { isRemovable } from "../imports.js";
import type { Node } from "../nodes.js";
import { type Imported, packageOf } from "../packages.js";
import type { Source } from "../source.js";
import { REPLACED } from "./index.js";
import { type CallNode, type Replacement, type Surroundings, short } from "./options.js";

interface Call {
  readonly node: CallNode;
  /** The function that is called, with the brackets around it. */
  readonly callee: Edit;
  readonly package: string;
  readonly replacement: Replacement;
}

/** Replaces the calls of other packages. Returns the imports that nothing uses then, and what each package is now. */
export function replaceCalls(
  draft: Draft,
  around: Surroundings,
): { readonly removed: readonly Imported[]; readonly now: ReadonlyMap<string, string> } {
  const calls = replaceable(draft, around);
  sayUncalled(draft);
  const removed = noLongerUsed(draft, calls);
  draft.names.freeNamesOf(removed);
  for (const { node, callee, package: from, replacement } of calls) {
    const local = draft.names.use(replacement.name);
    if (draft.source.text.slice(callee.start, callee.end) !== local)
      draft.edits.push({ ...callee, text: local });
    draft.edits.push(...replacement.edits);
    const own = from === replacement.name ? " of express-portico" : "";
    draft.done(node, `${from} is now ${replacement.name}${own}`);
    for (const text of replacement.notes) draft.note(node, `${replacement.name}: ${text}`);
  }
  return { removed, now: new Map(calls.map((one) => [one.package, one.replacement.name])) };
}

/** The calls of other packages that mean the same with this one. */
function replaceable(draft: Draft, around: Surroundings): readonly Call[] {
  const { source } = draft;
  const calls: Call[] = [];
  for (const node of source.nodes) {
    if (node.type !== "CallExpression") continue;
    const from = packageOf(source, draft.imports, node.callee);
    const translate = from && REPLACED[from.package];
    if (translate === undefined) continue;
    const { package: name, member } = from!;
    const stays = (why: string) => draft.leave(node, `${short(source, node)} stays: ${why}`);
    if (member !== undefined) {
      if (name === "helmet") stays("a single header is securityHeaders with the others false here");
      continue;
    }
    const callee = calleeOf(source, node);
    const replacement =
      source.parentOf(node)?.type === "MemberExpression"
        ? new Refusal("its result is used for more than app.use")
        : translate(source, node, around);
    if (replacement instanceof Refusal) stays(replacement.reason);
    else if (hasEditComment(source, [...replacement.edits, callee])) stays("a comment in it would be lost");
    else calls.push({ node, callee, package: name, replacement });
  }
  return calls;
}

/** What is before the arguments of a call: `cors`, `(0, cors_1.default)`. */
function calleeOf({ text }: Source, { start, callee }: CallNode): Edit {
  const brackets = callee.extra?.parenthesized ? /^\s*\)/.exec(text.slice(callee.end!)) : undefined;
  if (brackets) return { start: start!, end: callee.end! + brackets[0].length, text: "" };
  return { start: callee.start!, end: callee.end!, text: "" };
}

/** `app.use(cors)` without the call. */
function sayUncalled(draft: Draft): void {
  for (const { package: name, whole } of draft.imports) {
    if (REPLACED[name] === undefined || whole === undefined) continue;
    for (const one of whole.references) {
      const parent = draft.source.parentOf(one);
      if (parent?.type === "CallExpression" && parent.callee !== one)
        draft.leave(one, `${whole.name} stays: it is not called here`);
    }
  }
}

/** The imports that nothing uses when the calls are replaced. */
function noLongerUsed(draft: Draft, calls: readonly Call[]): readonly Imported[] {
  const isReplaced = (node: Node) =>
    calls.some(({ callee }) => callee.start <= node.start! && node.end! <= callee.end);
  const candidates = draft.imports.filter((one) => {
    const bindings = [...(one.whole === undefined ? [] : [one.whole]), ...one.members.keys()];
    const references = bindings.flatMap((binding) => binding.references);
    return REPLACED[one.package] !== undefined && references.length > 0 && references.every(isReplaced);
  });
  const removable = candidates.filter((one) => isRemovable(draft.source, one, candidates));
  for (const one of candidates.filter((kept) => !removable.includes(kept)))
    draft.leave(
      one.statement,
      `the import of ${one.package} stays, because a comment in it would be lost; nothing uses it any more`,
    );
  return removable;
}
