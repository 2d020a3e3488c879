import { NO_VARIABLES } from "../../src/lib/express/app.js";
import { stderrLogger } from "../../src/lib/log/stderr-logger.js";
import type { PipelineNode } from "./pipeline.js";
import { hasUnknown, labelOf, placeOf } from "./pipeline.js";
import { Reader } from "./read.js";
import { checkNodes } from "./rules/index.js";

/** A test suite makes the same app many times: each line is written once. */
const written = new Set<string>();
const MAX_WRITTEN = 1_000;

/**
 * Checks an app after its first request, and writes a line to standard error for each fault. It opens no inspector
 * session, and so sees less than the command: one more line says which mounted apps, and which paths, it has not seen.
 *
 * @param apps the app that the request came to, and those around it, the outermost last
 */
export function checkAtStartUp(apps: readonly object[]): void {
  const pipeline = new Reader(NO_VARIABLES, apps).app(apps.at(-1));
  for (const { level, rule, at, message } of checkNodes(pipeline)) {
    if (level === "fault") write("warn", { rule, at }, message);
  }
  const [first, ...others] = hiddenParts(pipeline);
  if (first === undefined) return;
  const more = others.length === 0 ? "" : `, and ${others.length} more`;
  write(
    "info",
    { rule: "not-seen", at: first.at },
    `the check at start-up did not see ${first.what}${more}: npx express-portico check <file> does`,
  );
}

function hiddenParts(node: PipelineNode): { at: string; what: string }[] {
  return node.children.flatMap((child) => {
    const at = placeOf(child);
    if (child.name === "mounted_app") return [{ at, what: `what is in ${labelOf(child)}` }];
    const isUnknown = !hasUnknown(node.path) && hasUnknown(child.path);
    return [...(isUnknown ? [{ at, what: `the path of ${at}` }] : []), ...hiddenParts(child)];
  });
}

function write(level: "info" | "warn", fields: { rule: string; at: string }, message: string): void {
  const text = `${fields.rule} ${fields.at} ${message}`;
  if (written.has(text) || written.size >= MAX_WRITTEN) return;
  written.add(text);
  stderrLogger[level](fields, message);
}
