import { appsOf, isMounted } from "./app.js";
import { Draft, type Said } from "./draft.js";
import { apply, hasEditComment, Refusal } from "./edits.js";
import { translateListen } from "./listen.js";
import { type AddsElsewhere, addOutside } from "./outside.js";
import { replaceCalls } from "./replace/calls.js";
import { STAYING } from "./replace/index.js";
import { type Surroundings, short } from "./replace/options.js";
import type { Source } from "./source.js";
import type { App, Use } from "./uses.js";

export interface Change {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly done: readonly Said[];
  readonly notes: readonly Said[];
  readonly left: readonly Said[];
  /** Packages that the file no longer uses. */
  readonly unused: readonly string[];
}

/** What is known of the project around the file. */
export interface Project extends Surroundings {
  addsElsewhere: AddsElsewhere;
}

/** Decides every edit of one file. What is not understood is left as it is. */
export function changeOf(source: Source, project: Project): Change {
  const draft = new Draft(source);
  const { removed, now } = replaceCalls(draft, project);
  for (const one of draft.imports) {
    const instead = STAYING[one.package];
    if (instead !== undefined) draft.leave(one.statement, `${one.package} stays: ${instead}`);
  }
  const app = outermostApp(draft);
  if (app !== undefined) {
    addOutside(draft, app, now.size > 0, (...given) => project.addsElsewhere(...given));
    for (const use of app.uses.filter(({ kind }) => kind === "listens")) listen(draft, app, use);
  }
  const first = Math.min(...draft.edits.map(({ start }) => start));
  draft.edits.push(...draft.names.edits(removed, first, now));
  sayIfCompiled(draft);
  return {
    ...{ file: source.file, before: source.text, after: apply(source.text, draft.edits) },
    ...draft.said,
    unused: [
      ...new Set([
        ...removed.map((one) => one.package),
        ...[...now.keys()].filter((name) => !draft.imports.some((other) => other.package === name)),
      ]),
    ],
  };
}

/** The app that no other one of the file contains; undefined if that is not certain. */
function outermostApp(draft: Draft): App | undefined {
  const { source } = draft;
  const { apps, unnamed } = appsOf(source, draft.imports);
  for (const { node, why } of unnamed)
    draft.leave(
      node,
      `nothing was added to the app made here, because ${why}: add requestContext, notFound and recover to it (docs/portico.md)`,
    );
  const roots = apps.filter((app) => !isMounted(source, app));
  const [app, other] =
    roots.length > 1 ? roots.filter(({ uses }) => uses.some(({ kind }) => kind === "listens")) : roots;
  if (app !== undefined && other === undefined) return app;
  const names = roots.map(({ name }) => name).join(", ");
  if (roots.length > 1)
    draft.leave(roots[0]!.made, `${names}: which of these apps is the outermost is not certain`);
  return undefined;
}

function listen(draft: Draft, app: App, use: Use): void {
  const { source } = draft;
  if (use.call === undefined) return;
  const label = short(source, use.call);
  const found = translateListen(source, app.name, use);
  if (found instanceof Refusal) {
    draft.leave(use.node, `${label} stays: ${found.reason}`);
    return;
  }
  if (hasEditComment(source, found("serve"))) {
    draft.leave(use.node, `${label} stays: a comment in it would be lost`);
    return;
  }
  draft.edits.push(...found(draft.names.use("serve")));
  draft.done(use.node, `${app.name}.listen is now serve`);
  draft.note(
    use.node,
    "serve: SIGTERM and SIGINT end the process when the open requests are answered; an error that nothing catches does too",
  );
}

function sayIfCompiled(draft: Draft): void {
  const { comments } = draft.source;
  const map = comments.findLast(({ value }) => /^[#@] sourceMappingURL=/.test(value));
  if (map !== undefined && draft.edits.length > 0)
    draft.note(
      map as never,
      "this file is the output of a compiler, which overwrites it: run the command on its source, if you have it",
    );
}
