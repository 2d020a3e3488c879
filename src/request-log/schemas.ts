import type { IncomingMessage } from "node:http";
import { toEcs } from "./ecs.js";
import type { RequestLogEntry } from "./entry.js";
import { toOtel } from "./otel.js";

export const SCHEMAS = ["plain", "ecs", "otel"] as const;
export type Schema = (typeof SCHEMAS)[number];

export type Fields = Readonly<Record<string, unknown>>;

/** Functions that return an entry with the names and units of a schema, flat, with dotted names. */
export const mapEntry: Readonly<
  Record<Exclude<Schema, "plain">, (entry: RequestLogEntry, req: IncomingMessage) => Fields>
> = { ecs: toEcs, otel: toOtel };
