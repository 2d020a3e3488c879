import type { Session } from "node:inspector";
import type { VariableReader } from "../../src/lib/express/app.js";

/** The inspector evaluates its expressions in another realm: functions and values are exchanged on this object, which all realms share. */
const HANDOVER = Symbol.for("express-portico/closure");
const HOLDER = `process.getBuiltinModule("node:inspector")[Symbol.for("express-portico/closure")]`;
const GROUP = "express-portico";

interface Remote {
  readonly objectId?: string;
  readonly value?: unknown;
  readonly description?: string;
}
interface Property {
  readonly name: string;
  readonly value?: Remote;
}

/**
 * Reads the variables that a function has closed over, with an inspector session within the process: no port is opened
 * and the function does not run. Without the inspector nothing can be read.
 */
export class InspectorReader implements VariableReader {
  #session: Session | undefined;
  #isTried = false;

  /** The variables with these names, each from the innermost scope that has it; undefined if none can be read. */
  read(fn: unknown, names: readonly string[]): Record<string, unknown> | undefined {
    if (typeof fn !== "function") return undefined;
    try {
      this.#open();
      return this.#session && this.#read(fn, names);
    } catch {
      return undefined;
    }
  }

  close(): void {
    try {
      this.#session?.disconnect();
    } catch {
      // It was not connected.
    }
    this.#session = undefined;
  }

  #open(): void {
    if (this.#isTried) return;
    this.#isTried = true;
    const session = new (process.getBuiltinModule("node:inspector").Session)();
    session.connect();
    this.#session = session;
  }

  #read(fn: unknown, names: readonly string[]): Record<string, unknown> {
    const home = process.getBuiltinModule("node:inspector") as unknown as Record<symbol, unknown>;
    const held = { fn, taken: undefined as unknown };
    home[HANDOVER] = held;
    try {
      const found: Record<string, unknown> = {};
      const { result } = this.#post("Runtime.evaluate", {
        expression: `${HOLDER}.fn`,
        objectGroup: GROUP,
      }) as { result: Remote };
      for (const scope of this.#scopesOf(result)) {
        for (const { name, value } of this.#properties(scope)) {
          if (!names.includes(name) || name in found || value === undefined) continue;
          if (value.objectId === undefined) found[name] = value.value;
          else {
            this.#post("Runtime.callFunctionOn", {
              objectId: value.objectId,
              functionDeclaration: `function () { ${HOLDER}.taken = this; }`,
            });
            found[name] = held.taken;
          }
        }
        if (names.every((name) => name in found)) break;
      }
      return found;
    } finally {
      delete home[HANDOVER];
      this.#post("Runtime.releaseObjectGroup", { objectGroup: GROUP });
    }
  }

  /** The scopes of functions and blocks, without the global one. */
  #scopesOf({ objectId }: Remote): Remote[] {
    if (objectId === undefined) return [];
    const { internalProperties = [] } = this.#post("Runtime.getProperties", {
      objectId,
      ownProperties: true,
    }) as {
      internalProperties?: Property[];
    };
    const scopes = internalProperties.find(({ name }) => name === "[[Scopes]]")?.value;
    if (scopes === undefined) return [];
    return this.#properties(scopes)
      .map(({ value }) => value)
      .filter((scope) => scope !== undefined && /^(?:Closure|Block)/.test(scope.description ?? ""))
      .map((scope) => scope as Remote);
  }

  #properties({ objectId }: Remote): Property[] {
    if (objectId === undefined) return [];
    const { result } = this.#post("Runtime.getProperties", { objectId, ownProperties: true }) as {
      result: Property[];
    };
    return result;
  }

  /** Within one process, the callback is called before `post` returns. */
  #post(method: string, params: object): unknown {
    let answer: unknown;
    let failure: Error | null = null;
    this.#session?.post(method, params, (error: Error | null, result: unknown) => {
      failure = error;
      answer = result;
    });
    if (failure !== null) throw failure;
    return answer;
  }
}
