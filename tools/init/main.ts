import { didYouMean } from "../../src/lib/config/did-you-mean.js";
import { type Change, changeOf } from "./change.js";
import { checkApp, checkChanged, isInstalled } from "./check-app.js";
import { ownRange } from "./own-package.js";
import { withDependency } from "./package-json.js";
import { Files, InitError } from "./project.js";
import { type FileDiff, type Report, reportText } from "./report.js";
import { readSource } from "./source.js";

export interface Arguments {
  readonly file: string | undefined;
  readonly write: boolean;
  readonly force: boolean;
  readonly json: boolean;
  /** Whether the app is imported, to read the order of its middleware. */
  readonly check: boolean;
}

export const HELP = `Usage: express-portico init [file] [--write] [--force] [--json] [--no-check]

Adds express-portico to an Express app: prints what would change, as a diff, and what stays as it is and why.
<file> makes the app, or imports the file that does; without it, package.json says where the app starts.

  --write     write the changes
  --force     write them even if the files have changes that git does not have
  --json      print the changes as JSON
  --no-check  do not import the app, as it is and as it would be, to read the order of its middleware
  --help      print this

Exit code: 0 if the changes were printed or written, or if there are none; 2 if the app could not be read, or
the files could not be written.
`;

/** Reads the command line after \`init\`; an Error says what is wrong with it. */
export function readArguments(given: readonly string[]): Arguments | "help" | Error {
  if (given.includes("--help") || given.includes("-h")) return "help";
  const known = ["--write", "--force", "--json", "--no-check"];
  const files = given.filter((one) => !one.startsWith("-"));
  const unknown = given.find((one) => one.startsWith("-") && !known.includes(one));
  if (unknown !== undefined) {
    const similar = didYouMean(unknown, [...known, "--help"]);
    return new Error(
      `unknown option "${unknown}"${similar === undefined ? "" : `; did you mean ${similar}?`}`,
    );
  }
  if (files.length > 1) return new Error(`one file at a time: "${files[0]}" and "${files[1]}" were given`);
  const has = (option: string) => given.includes(option);
  return {
    file: files[0],
    ...{ write: has("--write"), force: has("--force"), json: has("--json"), check: !has("--no-check") },
  };
}

/** The command. Its result goes to standard output, its own failures to standard error. */
export async function main(given: readonly string[]): Promise<void> {
  const wanted = readArguments(given);
  if (wanted === "help") process.stdout.write(HELP);
  else if (wanted instanceof Error) fail(`${wanted.message}\n\n${HELP}`);
  else {
    try {
      process.stdout.write(await init(wanted));
    } catch (error) {
      if (!(error instanceof InitError)) throw error;
      fail(`${error.message}\n`);
    }
  }
}

function fail(text: string): void {
  process.stderr.write(`express-portico: ${text}`);
  process.exitCode = 2;
}

async function init(wanted: Arguments): Promise<string> {
  const { dirname, resolve } = process.getBuiltinModule("node:path");
  const { readFileSync, writeFileSync } = process.getBuiltinModule("node:fs");
  const files = new Files(wanted.file === undefined ? process.cwd() : dirname(resolve(wanted.file)));
  const { file, others } = files.find(wanted.file);
  const change = changeOf(readSource(file, readFileSync(file, "utf8")), files);
  const diffs: FileDiff[] = [];
  if (change.after !== change.before) {
    refuseBroken(change);
    diffs.push({ file, name: files.shown(file), before: change.before, after: change.after });
    const { packageFile } = files;
    const text = packageFile && readFileSync(packageFile, "utf8");
    const added = text && withDependency(text, ownRange());
    if (packageFile && text && added && added !== text)
      diffs.push({ file: packageFile, name: files.shown(packageFile), before: text, after: added });
  }
  const isWritten = wanted.write && diffs.length > 0;
  if (isWritten && !wanted.force) refuseUncommitted(diffs, files.root);
  const before = wanted.check && diffs.length > 0 ? await checkApp(file, files.root) : undefined;
  if (isWritten) for (const one of diffs) writeFileSync(one.file, one.after);
  const isReadable = before !== undefined && "findings" in before;
  const after = !isReadable
    ? undefined
    : isWritten && isInstalled(file)
      ? await checkApp(file, files.root)
      : await checkChanged(file, change.after, files.root);
  const { dependencies = {}, devDependencies = {} } = (files.packageJson() ?? {}) as Record<
    string,
    Record<string, string>
  >;
  const report: Report = {
    file: files.shown(file),
    diffs,
    done: change.done,
    notes: change.notes,
    left: change.left,
    others: others.map((one) => files.shown(one)),
    uninstall: change.unused.filter(
      (name) => files.usersOf(name, file).length === 0 && (name in dependencies || name in devDependencies),
    ),
    ...{ isWritten, before, after },
    oldExpress: oldExpress(files),
  };
  return wanted.json ? `${JSON.stringify(report, undefined, 2)}\n` : reportText(report, wantsColour());
}

/** A change that the parser cannot read would be a fault of this command: nothing is written then. */
function refuseBroken({ file, after }: Change): void {
  try {
    readSource(file, after);
  } catch (error) {
    throw new InitError(
      `the changed ${file} could not be read, so nothing was changed: ${(error as Error).message}`,
    );
  }
}

function refuseUncommitted(diffs: readonly FileDiff[], cwd: string): void {
  const { execFileSync } = process.getBuiltinModule("node:child_process");
  let changed: string;
  try {
    const args = ["status", "--porcelain", "--", ...diffs.map(({ file }) => file)];
    changed = execFileSync("git", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return; // no git, or no checkout of it
  }
  if (changed.trim() === "") return;
  throw new InitError(
    `these files have changes that git does not have; commit them first, or use --force:\n${changed.trimEnd()}`,
  );
}

/** The installed Express, if it is too old for this package. */
function oldExpress(files: Files): string | undefined {
  const { existsSync, readFileSync } = process.getBuiltinModule("node:fs");
  const { join } = process.getBuiltinModule("node:path");
  const file = join(files.root, "node_modules/express/package.json");
  if (!existsSync(file)) return undefined;
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 4 || (major === 4 && minor >= 21) ? undefined : version;
}

/** @see https://no-color.org */
function wantsColour(): boolean {
  const { NO_COLOR, TERM } = process.env;
  return process.stdout.isTTY === true && (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb";
}
