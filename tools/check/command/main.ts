import { describeThrown } from "../../../src/lib/values/thrown.js";
import { checkNodes, isFault } from "../check.js";
import { describePipeline } from "../index.js";
import { pipelineSvg } from "../svg.js";
import { type Arguments, HELP, readArguments } from "./arguments.js";
import { ENVIRONMENT, LoadError, loadApp } from "./load-app.js";
import { coloured, findingsText, plain, treeText } from "./tree.js";

const write = process.stdout.write.bind(process.stdout);

/** The command. Its result goes to standard output, its own failures to standard error. */
export function main(given: readonly string[]): void {
  const wanted = readArguments(given);
  // Output of the app must not mix with the result.
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
  if (wanted === "help") leave(0, HELP);
  else if (wanted instanceof Error) leave(2, "", `express-portico: ${wanted.message}\n\n${HELP}`);
  else run(wanted);
}

/** An app may wait forever for a database that is not there. */
const IMPORT_MS = 60_000;

let isLeaving = false;

function run(wanted: Arguments): void {
  // If the app ends the process, nothing was checked: the exit code must say so.
  process.on("exit", () => {
    if (isLeaving) return;
    process.exitCode = 2;
    process.stderr.write(
      `express-portico: ${wanted.file} ended the process while it was imported. ${ENVIRONMENT}\n`,
    );
  });
  process.once("uncaughtException", (error) => {
    leave(
      2,
      "",
      `express-portico: ${wanted.file} failed while it was imported: ${describeThrown(error).message}. ${ENVIRONMENT}\n`,
    );
  });
  const neverLoaded = () =>
    leave(
      2,
      "",
      `express-portico: ${wanted.file} never finished loading: a top-level await has no end, or waits for what is not there\n`,
    );
  process.once("beforeExit", neverLoaded);
  setTimeout(neverLoaded, IMPORT_MS).unref(); // a timer or a connection of the app can keep the process alive
  check(wanted).then(
    ({ code, text }) => {
      process.off("beforeExit", neverLoaded);
      leave(code, text);
    },
    (error: unknown) => {
      process.off("beforeExit", neverLoaded);
      const said = error instanceof LoadError ? error.message : String((error as Error)?.stack ?? error);
      leave(2, "", `express-portico: ${said}\n`);
    },
  );
}

async function check({ file, json, graph }: Arguments): Promise<{ code: number; text: string }> {
  const target = graph === undefined ? undefined : process.getBuiltinModule("node:path").resolve(graph);
  const { app, isServed } = await loadApp(file);
  const read = describePipeline(app);
  const pipeline = isServed ? { ...read, facts: { ...read.facts, served: true } } : read;
  const findings = checkNodes(pipeline);
  if (target !== undefined) {
    const { writeFileSync } = process.getBuiltinModule("node:fs");
    try {
      writeFileSync(target, pipelineSvg(pipeline, findings));
    } catch (error) {
      throw new LoadError(`the graph could not be written: ${(error as Error).message}`);
    }
  }
  const code = findings.some(isFault) ? 1 : 0;
  if (json) return { code, text: `${JSON.stringify({ pipeline, findings }, undefined, 2)}\n` };
  const paint = wantsColour() ? coloured : plain;
  return { code, text: `${treeText(pipeline, findings, paint)}\n${findingsText(findings, paint)}` };
}

/** @see https://no-color.org */
function wantsColour(): boolean {
  const { NO_COLOR, TERM } = process.env;
  return process.stdout.isTTY === true && (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb";
}

/** Ends the process when the output is written: timers and connections of the app would keep it alive. */
function leave(code: number, output: string, complaint = ""): void {
  if (isLeaving) return; // the first reason counts
  isLeaving = true;
  process.exitCode = code;
  process.stderr.write(complaint, () => {
    write(output, () => process.exit(code));
  });
}
