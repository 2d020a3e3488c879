import { leavesFile } from "./app.js";
import type { Draft } from "./draft.js";
import { linesAfter, linesBefore } from "./lines.js";
import type { Node } from "./nodes.js";
import { type Positions, positionsOf } from "./positions.js";
import { LOGGERS } from "./replace/index.js";
import type { Source } from "./source.js";
import type { App } from "./uses.js";

/** Who else adds to the app that a file gives away; undefined if nobody does. */
export type AddsElsewhere = (source: Source, app: App) => string | undefined;

/** What is added to an app: lines above all others, and below them. */
interface Added {
  readonly opening: readonly string[];
  readonly closing: string | undefined;
}

/** Adds what goes first and last in the app. */
export function addOutside(draft: Draft, app: App, isReplaced: boolean, addsElsewhere: AddsElsewhere): void {
  const { source, names, edits } = draft;
  const extended = app.uses.find(({ kind }) => kind === "extends");
  if (extended !== undefined) {
    draft.leave(
      extended.node,
      `${app.name}: nothing was added, because it gets other methods here, and when its use can be called is not certain`,
    );
    return;
  }
  const positions = positionsOf(source, app);
  const { first, last, whyNoLast, hasNotFound } = positions;
  const { top } = app;
  const elsewhere = leavesFile(source, app) ? addsElsewhere(source, app) : undefined;
  const mayEnd = !names.has("portico") && !names.has("recover");
  const canEnd = mayEnd && last !== undefined && whyNoLast === undefined && elsewhere === undefined;
  if (mayEnd && !canEnd) sayNoEnd(draft, app, positions, elsewhere);
  if (first === undefined && top === undefined) {
    draft.leave(app.made, `${app.name}: nothing was added, because where it begins is not certain`);
    return;
  }
  const takesMembers = !isReplaced && !names.has("portico") && !names.has("requestContext");
  const { opening, closing } = takesMembers
    ? wholePortico(draft, app.name, positions, canEnd)
    : singleMembers(draft, app.name, positions, canEnd);
  const lines = opening.map((one) => one + source.style.semicolon);
  if (lines.length > 0) {
    const said = takesMembers ? "portico's request id and log go first" : "requestContext goes first";
    draft.done(first ?? app.made, said);
    const isAfter = first === undefined && top!.isAfter;
    edits.push((isAfter ? linesAfter : linesBefore)(source, first ?? top!.node, lines));
  }
  if (closing !== undefined && last !== undefined) {
    const own = hasNotFound ? "recover goes last; the app has its own 404" : "notFound and recover go last";
    draft.done(last, own);
    edits.push(linesAfter(source, last, [closing + source.style.semicolon]));
  }
}

/** `portico` for an app that uses none of the replaced packages. */
function wholePortico(
  draft: Draft,
  app: string,
  { isOneList, hasNotFound }: Positions,
  canEnd: boolean,
): Added {
  const { names, source } = draft;
  const isPair = canEnd && isOneList;
  const make = `${names.use("portico")}(${membersOff(draft, isPair, hasNotFound)})`;
  if (!isPair) {
    const closing = canEnd ? ending(draft, app, hasNotFound) : undefined;
    return { opening: [`${app}.use(${make}.before)`], closing };
  }
  const before = names.free("before", "beforeRoutes");
  const after = names.free("after", "afterRoutes");
  const pattern = [
    before === "before" ? before : `before: ${before}`,
    after === "after" ? after : `after: ${after}`,
  ];
  return {
    opening: [`${source.style.variable} { ${pattern.join(", ")} } = ${make}`, `${app}.use(${before})`],
    closing: `${app}.use(${after})`,
  };
}

/** For an app whose own middleware was replaced one by one, or that has some of this package. */
function singleMembers(draft: Draft, app: string, { hasNotFound }: Positions, canEnd: boolean): Added {
  const { names } = draft;
  const isKnown = names.has("portico") || names.has("requestContext");
  return {
    opening: isKnown ? [] : [`${app}.use(${names.use("requestContext")}())`],
    closing: canEnd ? ending(draft, app, hasNotFound) : undefined,
  };
}

function ending({ names }: Draft, app: string, hasNotFound: boolean): string | undefined {
  const missing = [...(hasNotFound ? [] : ["notFound"]), "recover"].filter((one) => !names.has(one));
  if (missing.length === 0) return undefined;
  return `${app}.use(${missing.map((one) => `${names.use(one)}()`).join(", ")})`;
}

/** The options of portico: what the app has from other packages is left out, and what is added elsewhere. */
function membersOff({ imports }: Draft, isPair: boolean, hasNotFound: boolean): string {
  const hasLog = imports.some((one) => LOGGERS.has(one.package));
  const off = ["headers", ...(hasLog ? ["log"] : [])];
  if (!isPair) off.push("notFound", "recover");
  else if (hasNotFound) off.push("notFound");
  return `{ ${off.map((one) => `${one}: false`).join(", ")} }`;
}

function sayNoEnd(
  draft: Draft,
  app: App,
  { last, whyNoLast }: Positions,
  elsewhere: string | undefined,
): void {
  const rest = `put ${app.name}.use(notFound(), recover()) after the last route yourself (docs/portico.md)`;
  const say = (at: Node, why: string) =>
    draft.leave(at, `notFound and recover were not added: ${why}; ${rest}`);
  if (whyNoLast !== undefined) say(whyNoLast.node, whyNoLast.reason);
  else if (elsewhere !== undefined) say(app.made, elsewhere);
  else if (last === undefined) say(app.made, "this file adds no route to the app");
}
