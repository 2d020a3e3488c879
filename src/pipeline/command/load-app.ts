import { describeThrown, peek } from "../../http/thrown.js";
import { isApp } from "../read.js";

/** Why there is no app to read, said to a person. */
export class LoadError extends Error {}

const EXPECTED = "export the app: `export default app`, `export { app }` or `module.exports = app`";

/**
 * Imports a module and takes the Express app out of its exports. While it is imported nothing can listen: a module that
 * tries is refused, and no port was open.
 */
export async function loadApp(path: string): Promise<unknown> {
  const { pathToFileURL } = process.getBuiltinModule("node:url");
  const { existsSync, statSync } = process.getBuiltinModule("node:fs");
  const { resolve } = process.getBuiltinModule("node:path");
  const file = resolve(path);
  if (!existsSync(file)) throw new LoadError(`there is no file ${path}`);
  if (statSync(file).isDirectory()) throw new LoadError(`${path} is a directory: name the file in it`);
  const watch = watchListening();
  try {
    const loading = import(pathToFileURL(file).href) as Promise<Record<string, unknown>>;
    const loaded = await Promise.race([loading, watch.listened]);
    if (loaded === "listened" || watch.hasListened()) {
      throw new LoadError(
        `${path} starts to listen when it is imported. Make the app in one module and export it; import it in another that calls listen() or serve()`,
      );
    }
    return appOf(loaded, path);
  } catch (error) {
    if (error instanceof LoadError) throw error;
    throw new LoadError(explain(error, path), { cause: error });
  }
}

/** Every server of Node's listens by this one method. It stays so: the command ends before the app could be served. */
function watchListening() {
  const { Server } = process.getBuiltinModule("node:net");
  let listened = false;
  let tell: (what: "listened") => void = () => {};
  const told = new Promise<"listened">((resolve) => {
    tell = resolve;
  });
  Server.prototype.listen = function refused(this: InstanceType<typeof Server>) {
    listened = true;
    tell("listened");
    return this;
  } as typeof Server.prototype.listen;
  return {
    listened: told,
    hasListened: () => listened,
  };
}

/** CommonJS comes as `default`; of a transpiled module that is `{ __esModule, default }`. */
function appOf(loaded: Record<string, unknown>, path: string): unknown {
  const found = peek(loaded, "default");
  const candidates = [found, peek(loaded, "app"), peek(found, "default"), peek(found, "app")];
  const app = candidates.find(isApp);
  if (app !== undefined) return app;
  const names = Object.keys(loaded).filter((name) => name !== "module.exports");
  if (typeof found === "function" && !isRouter(found)) {
    throw new LoadError(
      `${path} exports a function${found.name === "" ? "" : `, ${found.name},`} that is not an app. If it makes one, it is not called here: write a module that calls it and exports the app`,
    );
  }
  if (isRouter(found))
    throw new LoadError(`${path} exports a router; ${EXPECTED}, with the router mounted in it`);
  const has = names.length === 0 ? "nothing" : names.join(", ");
  throw new LoadError(`${path} exports no Express app (it exports ${has}); ${EXPECTED}`);
}

function isRouter(value: unknown): boolean {
  return typeof value === "function" && Array.isArray(peek(value, "stack"));
}

function explain(error: unknown, path: string): string {
  const { message } = describeThrown(error);
  if (/\.[cm]?tsx?$/.test(path)) {
    return `${path} could not be imported (${message}). For TypeScript run: node --import tsx node_modules/express-portico/dist/cjs/cli.js check ${path}`;
  }
  return `${path} could not be imported: ${message}`;
}
