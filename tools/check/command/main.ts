import { didYouMean } from "../../../src/lib/config/did-you-mean.js";
import { describeThrown } from "../../../src/lib/values/thrown.js";
import { describePipeline } from "../index.js";
import { checkNodes, isFault } from "../rules/index.js";
import { ENVIRONMENT, LoadError, loadApp } from "./load-app.js";
import { coloured, findingsText, pipelineSvg, plain, treeText } from "./print.js";

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
  const { app, isServed, isLocal } = await loadApp(file);
  const read = describePipeline(app);
  const started = { ...(isServed && { served: true }), ...(isLocal && { loopback: true }) };
  const pipeline = { ...read, details: { ...read.details, ...started } };
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

export const HELP = `Usage: express-portico check <file> [--json] [--graph <file.svg>]

Prints the middleware of an Express app in its order, and what is wrong with it. <file> exports the app,
or a function that makes it, or starts a server for it. It is imported, but nothing listens. TypeScript
needs tsx to be installed.

  --json           print the pipeline and the findings as JSON
  --graph <file>   draw the pipeline as an SVG file
  --help           print this

       express-portico init [file] adds the package to an app: express-portico init --help

Exit code: 1 if there is a fault, 0 if there is none, 2 if the app could not be read.
`;

export interface Arguments {
  readonly file: string;
  readonly json: boolean;
  readonly graph: string | undefined;
}

/** Reads the command line; an Error says what is wrong with it. */
export function readArguments(given: readonly string[]): Arguments | "help" | Error {
  if (given.includes("--help") || given.includes("-h")) return "help";
  const [command, ...rest] = given;
  if (command === undefined) return new Error("a command is missing: express-portico check ./app.js");
  if (command !== "check") return new Error(`unknown command "${command}": the commands are check and init`);
  let file: string | undefined;
  let graph: string | undefined;
  let json = false;
  for (let i = 0; i < rest.length; i++) {
    const one = rest[i]!;
    if (one === "--json") json = true;
    else if (one === "--graph" || one.startsWith("--graph=")) {
      const value = one === "--graph" ? rest[++i] : one.slice("--graph=".length);
      if (value === undefined || value === "" || value.startsWith("--"))
        return new Error("--graph needs the name of a file: --graph out.svg");
      graph = value;
    } else if (one.startsWith("-")) {
      const similar = didYouMean(one, ["--json", "--graph", "--help"]);
      return new Error(`unknown option "${one}"${similar === undefined ? "" : `; did you mean ${similar}?`}`);
    } else if (file !== undefined) return new Error(`one file at a time: "${file}" and "${one}" were given`);
    else file = one;
  }
  return file === undefined
    ? new Error("a file is missing: express-portico check ./app.js")
    : { file, json, graph };
}
