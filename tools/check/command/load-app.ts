import { isApp } from "../../../src/lib/express/app.js";
import { describeThrown, isThenable, peek } from "../../../src/lib/values/thrown.js";
import { describePipeline } from "../index.js";
import type { PipelineNode } from "../pipeline.js";
import {
  appOfServer,
  appWithin,
  exportedApp,
  type Factory,
  factoriesOf,
  hasRouter,
  isLocal,
  isServed,
  namesOf,
  settled,
  type Watch,
  watchListening,
} from "./find-app.js";

/** Why there is no app to read. */
export class LoadError extends Error {}

export interface LoadedApp {
  readonly app: unknown;
  /** It was started with `serve`. */
  readonly isServed: boolean;
  /** It would listen on loopback only. */
  readonly isLocal: boolean;
}

const EXPECTED = "export the app: `export default app`, `export { app }` or `module.exports = app`";
export const ENVIRONMENT =
  "If it needs environment variables, set them: PORT=8080 npx express-portico check …, or node --env-file=.env node_modules/express-portico/dist/cjs/cli.js check …. If it needs a database, start that first.";

/** How long to wait for an imported module to listen. */
const STARTING_MS = 2_000;
/** How long to wait in all while the module has a connection open, as to a database. */
const CONNECTING_MS = 20_000;
/** How long to wait for a function or a promise that makes the app. */
const MAKING_MS = 20_000;
/** How long to wait, after `listen` was called, for the rest of the module: it may add routes. */
const AFTERWARDS_MS = 50;

/**
 * Imports a module and finds its Express app: among the exports, in the server that it starts, made by a function that it
 * exports, or created and not exported. No server listens, and no port is opened.
 */
export async function loadApp(path: string): Promise<LoadedApp> {
  const { pathToFileURL } = process.getBuiltinModule("node:url");
  const { existsSync, statSync } = process.getBuiltinModule("node:fs");
  const { resolve } = process.getBuiltinModule("node:path");
  const file = resolve(path);
  if (!existsSync(file)) throw new LoadError(`there is no file ${path}`);
  if (statSync(file).isDirectory()) throw new LoadError(`${path} is a directory: name the file in it`);
  const watch = watchListening(file);
  try {
    await registerTypeScript(file);
    const loading = import(pathToFileURL(file).href) as Promise<Record<string, unknown>>;
    const loaded = await Promise.race([loading, watch.listened]);
    // A module that waits for its server to listen never finishes loading.
    const exported = loaded === "listened" ? await settled(loading, AFTERWARDS_MS) : loaded;
    const app = await findApp(exported, watch, path);
    return { app, isServed: isServed(watch), isLocal: isLocal(watch) };
  } catch (error) {
    if (error instanceof LoadError) throw error;
    throw new LoadError(explain(error, path), { cause: error });
  }
}

async function findApp(loaded: unknown, watch: Watch, path: string): Promise<unknown> {
  const exported = loaded === undefined ? undefined : await exportedApp(loaded, MAKING_MS);
  const known = exported ?? servedApp(watch);
  if (known !== undefined) return known;
  const factories = loaded === undefined ? [] : factoriesOf(loaded);
  let failure: LoadError | undefined;
  for (const factory of factories) {
    try {
      const made = await call(factory, watch, path);
      if (made !== undefined) return made;
    } catch (error) {
      failure ??= error as LoadError;
    }
  }
  if (factories.length === 0) {
    await settled(watch.listened, STARTING_MS);
    if (watch.servers.length === 0 && isConnected())
      await settled(watch.listened, CONNECTING_MS - STARTING_MS);
    const served = servedApp(watch);
    if (served !== undefined) return served;
  }
  const kept = largest(watch.created);
  if (kept !== undefined && describePipeline(kept).children.length > 0) return kept;
  throw failure ?? new LoadError(whyNone(loaded, factories, watch, path));
}

function isConnected(): boolean {
  return process.getActiveResourcesInfo().some((resource) => /^(?:TCP|TLS|GetAddrInfo)/.test(resource));
}

/** The app of the server that would listen; of several, the app with the most nodes. */
function servedApp({ servers }: Watch): unknown {
  return largest(servers.map(appOfServer).filter((app) => app !== undefined));
}

/** Calls a function of the module, and returns the app that it makes or starts. */
async function call({ name, make }: Factory, watch: Watch, path: string): Promise<unknown> {
  let made: unknown;
  try {
    made = make();
    if (isThenable(made)) made = await Promise.race([settled(made, MAKING_MS), watch.listened]);
  } catch (error) {
    const { message } = describeThrown(error);
    throw new LoadError(
      `${path} exports ${name}(), which makes no app when it is called without arguments: ${message}. Write a module that calls it as your own does, and exports the app. ${ENVIRONMENT}`,
      { cause: error },
    );
  }
  return appWithin(made) ?? servedApp(watch);
}

function largest(apps: readonly unknown[]): unknown {
  const roots = apps.filter((app) => isApp(app) && typeof peek(app, "parent") !== "function");
  const sized = roots.map((app) => [count(describePipeline(app)), app] as const);
  return sized.sort(([a], [b]) => b - a)[0]?.[1];
}

function count(node: PipelineNode): number {
  return node.children.reduce((sum, child) => sum + count(child), 1);
}

function whyNone(loaded: unknown, factories: readonly Factory[], { servers }: Watch, path: string): string {
  if (servers.length > 0)
    return `${path} starts a server that hands its requests to no Express app; ${EXPECTED}`;
  const [first] = factories;
  if (first !== undefined) {
    return `${path} exports a function, ${first.name}, that makes no app when it is called without arguments: write a module that calls it and exports the app`;
  }
  if (hasRouter(loaded)) return `${path} exports a router; ${EXPECTED}, with the router mounted in it`;
  return `${path} exports no Express app, and starts none (it exports ${namesOf(loaded)}); ${EXPECTED}`;
}

function explain(error: unknown, path: string): string {
  const { message } = describeThrown(error);
  const said = /[.!?]$/.test(message) ? message : `${message}.`;
  const isTypeScript = /\.[cm]?tsx?$/.test(path);
  const isNotRead =
    error instanceof SyntaxError ||
    /ERR_(?:UNKNOWN_FILE_EXTENSION|MODULE_NOT_FOUND|UNSUPPORTED)/.test(String(peek(error, "code")));
  const remedy =
    isTypeScript && isNotRead ? "For TypeScript install tsx: npm install --save-dev tsx" : ENVIRONMENT;
  return `${path} could not be imported: ${said} ${remedy}`;
}

/** Whether Node was started with a loader, such as `node --import tsx`, ts-node or swc. */
function hasLoader(): boolean {
  const given = `${process.execArgv.join(" ")} ${process.env.NODE_OPTIONS ?? ""}`;
  return /(?:^|\s)(?:--import|--loader|--experimental-loader|--require|-r)(?:[\s=]|$)/.test(given);
}

/** Registers the tsx that is installed beside the file or in the working directory, for a TypeScript file. */
export async function registerTypeScript(file: string): Promise<void> {
  if (!/\.[cm]?tsx?$/.test(file) || hasLoader()) return;
  const { createRequire } = process.getBuiltinModule("node:module");
  const { join } = process.getBuiltinModule("node:path");
  for (const place of [file, join(process.cwd(), "x.js")]) {
    const require = createRequire(place);
    let modules: string;
    let commonJs: string;
    try {
      modules = require.resolve("tsx/esm/api");
      commonJs = require.resolve("tsx/cjs/api");
    } catch {
      continue;
    }
    (require(commonJs) as { register(): unknown }).register();
    // The CommonJS form of this module resolves its loader wrongly.
    const api = process.getBuiltinModule("node:url").pathToFileURL(modules.replace(/\.cjs$/, ".mjs")).href;
    ((await import(api)) as { register(): unknown }).register();
    return;
  }
}
