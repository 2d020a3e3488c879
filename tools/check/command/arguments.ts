import { didYouMean } from "../../../src/lib/config/did-you-mean.js";

export const HELP = `Usage: express-portico check <file> [--json] [--graph <file.svg>]

Prints the middleware of an Express app in its order, and what is wrong with it. <file> exports the app,
or a function that makes it, or starts a server for it. It is imported, but nothing listens. TypeScript
needs tsx to be installed.

  --json           print the pipeline and the findings as JSON
  --graph <file>   draw the pipeline as an SVG file
  --help           print this

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
  if (command !== "check") return new Error(`unknown command "${command}": the only one is check`);
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
      const meant = didYouMean(one, ["--json", "--graph", "--help"]);
      return new Error(`unknown option "${one}"${meant === undefined ? "" : `; did you mean ${meant}?`}`);
    } else if (file !== undefined) return new Error(`one file at a time: "${file}" and "${one}" were given`);
    else file = one;
  }
  return file === undefined
    ? new Error("a file is missing: express-portico check ./app.js")
    : { file, json, graph };
}
