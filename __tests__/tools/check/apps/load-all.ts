import { loadApp } from "../../../../tools/check/command/load-app.js";
import { describePipeline } from "../../../../tools/check/index.js";
import type { PipelineNode } from "../../../../tools/check/pipeline.js";

const routes = ({ kind, path, children }: PipelineNode): string[] =>
  kind === "route" ? [path] : children.flatMap(routes);

/** Each module of its own, in one process: a process takes seconds to start. */
const results: Record<string, unknown> = {};
for (const file of process.argv.slice(2)) {
  results[file] = await loadApp(file).then(
    ({ app, isServed, isLocal }) => ({ routes: routes(describePipeline(app)), isServed, isLocal }),
    (error: Error) => error.message,
  );
}
process.stdout.write(JSON.stringify(results), () => process.exit(0));
