import type { Checker } from "../../lib/config/checker.js";
import { peek } from "../../lib/values/thrown.js";

/** A client or a pool of node-redis (the package `redis`), 5 or newer: the part that is used here. */
export interface NodeRedisClient {
  sendCommand(args: (string | Buffer)[], options?: object): Promise<unknown>;
  withTypeMapping(mapping: object): unknown;
  readonly isOpen: boolean;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** A client of ioredis: the part that is used here. */
export interface IoredisClient {
  callBuffer(command: string, ...args: (string | Buffer | number)[]): Promise<unknown>;
  readonly status: string;
  on(event: "error", listener: (error: Error) => void): unknown;
}

export type RedisClient = NodeRedisClient | IoredisClient;

/** Sends one command; strings come back as Buffers. */
export type Send = (args: (string | Buffer)[]) => Promise<unknown>;

/** For node-redis: bulk strings (`RESP_TYPES.BLOB_STRING`) come as Buffers. */
const AS_BUFFERS = { 36: Buffer };

const EXPECTED = "must be a client of node-redis (the package redis, 5 or newer) or of ioredis";

/** Checks the option `client` by its methods, as neither package is imported. */
export function checkClient(checker: Checker): RedisClient | undefined {
  const client = checker.options.client;
  const wrong = problemOf(client);
  if (wrong === undefined) return client as RedisClient;
  checker.addSecret("client", `${EXPECTED}${wrong === "" ? "" : `; ${wrong}`}`); // a client holds a password
  return undefined;
}

function problemOf(client: unknown): string | undefined {
  if (client === undefined || client === null) return "there is none";
  if (typeof client !== "object" && typeof client !== "function") return `received a ${typeof client}`;
  const can = (method: string) => typeof peek(client, method) === "function";
  if (can("then")) return "this is a promise of one: await it first";
  if (peek(client, "isCluster") === true || can("getSlotRandomNode")) {
    return "this is a client of a cluster, where each node holds only a part of the keys";
  }
  if (can("acquire")) return "this is node-redis's client of a sentinel; use that of ioredis";
  if (!can("on")) return "";
  if (can("callBuffer") && typeof peek(client, "status") === "string") return undefined;
  if (can("sendCommand") && can("withTypeMapping") && typeof peek(client, "isOpen") === "boolean")
    return undefined;
  return can("sendCommand") || can("send_command") ? "this seems to be a client of an older version" : "";
}

/** Returns the function that sends commands. After `timeoutMs`, node-redis drops a command that is not sent yet. */
export function sender(client: RedisClient, timeoutMs: number): Send {
  listen(client);
  if ("callBuffer" in client) return ([command, ...args]) => client.callBuffer(String(command), ...args);
  const options = { typeMapping: AS_BUFFERS, timeout: timeoutMs };
  return (args) => client.sendCommand(args, options);
}

/** The prefix that the client itself puts before all keys; only ioredis has such an option. */
export function keyPrefixOf(client: RedisClient): string {
  const prefix = peek(peek(client, "options"), "keyPrefix");
  return "callBuffer" in client && typeof prefix === "string" ? prefix : "";
}

const listened = new WeakSet<RedisClient>();

/**
 * Adds an 'error' listener, once for each client: without one, a lost connection ends the process. The circuit logs
 * that the store is down when commands fail.
 */
function listen(client: RedisClient): void {
  if (listened.has(client)) return;
  listened.add(client);
  client.on("error", ignore);
}

function ignore(): void {}

/** A Lua script, sent by its hash, or whole if the server does not have it yet. */
export class Script {
  #hash: string | undefined;

  constructor(readonly source: string) {}

  async run(
    send: Send,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<readonly unknown[]> {
    const { createHash } = process.getBuiltinModule("node:crypto");
    this.#hash ??= createHash("sha1").update(this.source).digest("hex");
    const rest = [String(keys.length), ...keys, ...args];
    const reply = await send(["EVALSHA", this.#hash, ...rest]).catch((error: unknown) => {
      if (!String(peek(error, "message")).startsWith("NOSCRIPT")) throw error;
      return send(["EVAL", this.source, ...rest]);
    });
    if (Array.isArray(reply)) return reply;
    throw new TypeError("Redis returned something other than a list");
  }
}
