import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import http from "node:http";
import { basename, extname, join } from "node:path";
import { buildSync } from "esbuild";
import type { RequestLogEntry } from "../../src/request-log/index.js";
import { root } from "../support/markdown.js";
import { until } from "../support/server.js";

/** In node_modules, so that the programs find the packages. A link leads them to the built package, as users have it. */
const folder = join(root, "node_modules", ".cache", "integrations", String(process.pid));

const running = new Set<Program>();

/** For `afterEach`. */
export async function endPrograms(): Promise<void> {
  await Promise.all([...running].map((program) => program.kill()));
}

/** For `afterAll`. */
export function removePrograms(): void {
  rmSync(folder, { recursive: true, force: true });
}

/**
 * Bundles a program of `apps/` with the files of docs/integrations that it imports, and returns the name of the bundle. The
 * packages stay outside, and are loaded by Node itself: several have ES modules only.
 */
export function buildApp(name: string): string {
  return bundle(join(__dirname, "apps", `${name}.ts`), folder);
}

/** The same for any program, and for a folder that has packages of its own. */
export function bundle(entry: string, into: string): string {
  const packages = join(into, "node_modules");
  mkdirSync(packages, { recursive: true });
  rmSync(join(packages, "express-portico"), { force: true });
  symlinkSync(root, join(packages, "express-portico"), "dir");
  const outfile = join(into, `${basename(entry, extname(entry))}.mjs`);
  buildSync({
    entryPoints: [entry],
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } }, // and no paths that lead to the sources
    outfile,
    logLevel: "silent",
  });
  return outfile;
}

export interface StartOptions {
  readonly env?: Record<string, string>;
  /** Options of Node itself. */
  readonly node?: readonly string[];
}

/** Starts a program, and waits until it prints `{"url": …}`. `endPrograms` ends it. */
export async function startProgram(file: string, options: StartOptions = {}): Promise<Program> {
  const child = spawn(process.execPath, [...(options.node ?? []), file], {
    env: { ...process.env, NODE_ENV: "production", PORT: "0", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const program = new Program(child);
  running.add(program);
  child.once("exit", () => running.delete(program));
  await until(() => program.url !== "" || program.exit !== undefined);
  if (program.url === "") throw new Error(`the program has not started:\n${program.text}`);
  return program;
}

export class Program {
  /** Everything that it has written. */
  text = "";
  /** The lines of JSON among it. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read any property of what was written
  readonly lines: any[] = [];
  url = "";
  exit: { code: number | null; signal: string | null } | undefined;
  private rest = "";

  constructor(private readonly child: ChildProcess) {
    child.stdout!.setEncoding("utf8").on("data", (text: string) => this.read(text));
    child.stderr!.setEncoding("utf8").on("data", (text: string) => this.read(text));
    child.once("close", (code, signal) => {
      this.exit = { code, signal };
    });
  }

  /** The records of the request log. */
  get records(): RequestLogEntry[] {
    return this.lines.filter((line) => typeof line.status === "number" && "durationMs" in line);
  }

  /** The record of the next request with this path, once it is there. */
  async record(path: string): Promise<RequestLogEntry> {
    const find = () => this.records.filter((one) => one.path === path);
    await until(() => find().length > 0);
    await new Promise(setImmediate);
    if (find().length > 1) throw new Error(`${path} has ${find().length} records`);
    return find()[0]!;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Sends SIGTERM, and waits for its end. */
  async end(): Promise<NonNullable<Program["exit"]>> {
    this.signal("SIGTERM");
    return this.ended();
  }

  async ended(): Promise<NonNullable<Program["exit"]>> {
    await until(() => this.exit !== undefined);
    return this.exit!;
  }

  async kill(): Promise<void> {
    if (this.exit !== undefined) return;
    this.child.kill("SIGKILL");
    await once(this.child, "close");
  }

  private read(text: string): void {
    this.text += text;
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop()!;
    for (const line of lines) {
      if (!line.startsWith("{")) continue;
      const parsed = JSON.parse(line);
      this.lines.push(parsed);
      if (typeof parsed.url === "string" && this.url === "") this.url = parsed.url;
    }
  }
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export async function ask(url: string, init?: RequestInit): Promise<Reply> {
  const response = await fetch(url, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

export interface Stream {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** What has arrived so far. */
  readonly text: string;
  /** How it has ended. */
  readonly end: "complete" | "truncated" | undefined;
  leave(): void;
}

/** A response that is read as it arrives. */
export async function stream(url: string, headers: http.OutgoingHttpHeaders = {}): Promise<Stream> {
  const req = http.get(url, { headers, agent: false });
  req.on("error", () => {});
  const [res] = (await once(req, "response")) as [http.IncomingMessage];
  const read = {
    status: res.statusCode!,
    headers: res.headers,
    text: "",
    end: undefined as Stream["end"],
    leave: () => void req.destroy(),
  };
  res.setEncoding("utf8").on("data", (text: string) => void (read.text += text));
  res.on("error", () => {});
  res.on("close", () => void (read.end = res.complete ? "complete" : "truncated"));
  return read;
}

/** A promise that is awaited later: until then its rejection is not an unhandled one. */
export function hold<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
