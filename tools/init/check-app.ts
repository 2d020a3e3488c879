import type { Finding } from "../check/pipeline.js";
import { PACKAGE } from "./imports.js";
import { withOwnPackage } from "./own-package.js";

/** What the command check says to an app, or why it could not read it. */
export type Checked = { readonly findings: readonly Finding[] } | { readonly unread: string };

/** Longer than check itself waits for an app. */
const LOADING_MS = 90_000;

/** Reads the app in a process of its own, because it may do what it wants. */
export async function checkApp(file: string, cwd: string): Promise<Checked> {
  const { spawn } = process.getBuiltinModule("node:child_process");
  const args = [...process.execArgv, process.argv[1]!, "check", file, "--json"];
  const child = spawn(process.execPath, args, {
    ...{ cwd, timeout: LOADING_MS, killSignal: "SIGKILL" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = onEnd(() => child.kill("SIGKILL"));
  const [out, err, status] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | null>((resolve) => {
      child.once("error", () => resolve(null)).once("close", resolve);
    }),
  ]);
  ended();
  if (status === 0 || status === 1)
    return { findings: (JSON.parse(out) as { findings: Finding[] }).findings };
  const lines = err.split("\n");
  const said = lines.find((line) => line.startsWith(`${PACKAGE}: `)) ?? lines[0] ?? "";
  return { unread: said.replace(`${PACKAGE}: `, "") || "it did not end in time" };
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) text += chunk;
  return text;
}

/**
 * Reads the app as it would be after the change. The changed text is in a file beside the original meanwhile, so that its
 * imports mean the same; it is removed on a signal too. It imports this copy of the package, which may not be installed yet.
 */
export async function checkChanged(file: string, text: string, cwd: string): Promise<Checked> {
  const { rmSync, writeFileSync } = process.getBuiltinModule("node:fs");
  const { basename, dirname, join } = process.getBuiltinModule("node:path");
  const beside = join(dirname(file), `.${PACKAGE}-${process.pid}-${basename(file)}`);
  const remove = () => rmSync(beside, { force: true });
  const ended = onEnd(remove);
  try {
    writeFileSync(beside, isInstalled(file) ? text : withOwnPackage(text), { flag: "wx" });
    return withName(await checkApp(beside, cwd), basename(beside), basename(file));
  } catch (error) {
    return { unread: (error as Error).message };
  } finally {
    remove();
    ended();
  }
}

/** Does something if the command ends before the returned function is called, by a signal too. */
function onEnd(clean: () => void): () => void {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const bySignal = (signal: NodeJS.Signals) => {
    clean();
    process.kill(process.pid, signal); // this listener is removed: the process ends by it
  };
  for (const signal of signals) process.once(signal, bySignal);
  process.once("exit", clean);
  return () => {
    for (const signal of signals) process.off(signal, bySignal);
    process.off("exit", clean);
  };
}

/** What was said of the file beside is meant for the original. */
function withName(checked: Checked, beside: string, name: string): Checked {
  return JSON.parse(JSON.stringify(checked).replaceAll(beside, name)) as Checked;
}

/** Whether a file finds this package where it is. */
export function isInstalled(file: string): boolean {
  try {
    process.getBuiltinModule("node:module").createRequire(file).resolve(PACKAGE);
    return true;
  } catch {
    return false;
  }
}
