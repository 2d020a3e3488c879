import { isIP } from "node:net";

const isText = (value: unknown) => typeof value === "string";
const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const matches = (pattern: RegExp) => (value: unknown) => typeof value === "string" && pattern.test(value);
const isBetween = (min: number, max: number) => (value: unknown) =>
  typeof value === "number" && value > min && value < max;

/** How a type of a field list looks in JSON. */
const types = {
  keyword: isText,
  text: isText,
  date: matches(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/),
  ip: (value: unknown) => isText(value) && isIP(value as string) !== 0 && !(value as string).includes("%"),
  long: isCount,
  port: (value: unknown) => isCount(value) && (value as number) <= 65_535,
  list: (value: unknown) => Array.isArray(value) && value.every(isText),
  seconds: isBetween(0, 60),
  nanoseconds: (value: unknown) => isCount(value) && isBetween(1_000, 60e9)(value),
  hex32: matches(/^[0-9a-f]{32}$/),
  hex16: matches(/^[0-9a-f]{16}$/),
  hex2: matches(/^0[0-3]$/),
};

/** A name, or the beginning of one; its type; the values it can have, if the list names them. */
type Field = readonly [name: string | RegExp, type: keyof typeof types, values?: readonly string[]];

/** Elastic Common Schema 9, the fields that an entry can have: https://www.elastic.co/docs/reference/ecs/ecs-field-reference */
export const ECS: readonly Field[] = [
  ["@timestamp", "date"],
  ["message", "text"],
  [/^labels\.[^.*"]+$/, "keyword"],
  ["log.level", "keyword", ["debug", "info", "warn", "error"]],
  ["ecs.version", "keyword", ["9.0.0"]],
  ["event.kind", "keyword", ["event"]],
  ["event.category", "list", ["web"]],
  ["event.type", "list", ["access"]],
  ["event.outcome", "keyword", ["success", "failure", "unknown"]],
  ["event.duration", "nanoseconds"],
  ["http.request.id", "keyword"],
  ["http.request.method", "keyword"],
  ["http.request.referrer", "keyword"],
  ["http.response.body.bytes", "long"],
  ["http.response.status_code", "long"],
  ["http.version", "keyword", ["1.0", "1.1", "2.0"]],
  ["url.original", "keyword"],
  ["url.scheme", "keyword", ["http", "https"]],
  ["url.domain", "keyword"],
  ["url.port", "port"],
  ["url.path", "keyword"],
  ["url.query", "keyword"],
  ["client.address", "keyword"],
  ["client.ip", "ip"],
  ["user.name", "keyword"],
  ["user_agent.original", "keyword"],
  ["trace.id", "hex32"],
  ["span.id", "hex16"],
  ["error.type", "keyword"],
  ["error.message", "text"],
  ["error.stack_trace", "text"],
];

/** The logs data model, and the attributes of the semantic conventions 1.45. */
export const OTEL: readonly Field[] = [
  ["timestamp", "date"],
  ["severity_text", "keyword", ["DEBUG", "INFO", "WARN", "ERROR"]],
  ["severity_number", "long"],
  ["body", "text"],
  ["trace_id", "hex32"],
  ["span_id", "hex16"],
  ["trace_flags", "hex2"],
  [
    "http.request.method",
    "keyword",
    [..."CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE".split(" "), "_OTHER"],
  ],
  ["http.request.method_original", "keyword"],
  [/^http\.request\.header\.[^A-Z]+$/, "list"],
  [/^http\.response\.header\.[^A-Z]+$/, "list"],
  ["http.route", "keyword"],
  ["http.response.status_code", "long"],
  ["http.response.body.size", "long"],
  ["http.server.request.duration", "seconds"],
  ["url.scheme", "keyword", ["http", "https"]],
  ["url.path", "keyword"],
  ["url.query", "keyword"],
  ["client.address", "keyword"],
  ["network.peer.address", "ip"],
  ["network.peer.port", "port"],
  ["network.protocol.version", "keyword", ["1.0", "1.1", "2"]],
  ["server.address", "keyword"],
  ["server.port", "port"],
  ["user_agent.original", "keyword"],
  ["user.name", "keyword"],
  ["error.type", "keyword"],
  ["exception.type", "keyword"],
  ["exception.message", "text"],
  ["exception.stacktrace", "text"],
  ["portico.refused.by", "text"],
  ["portico.refused.reason", "text"],
];

/** What is wrong with a record by a list: names that are not in it, values of another type. */
export function faultsOf(list: readonly Field[], record: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(record).flatMap(([name, value]) => {
    const field = list.find(([known]) => (typeof known === "string" ? known === name : known.test(name)));
    if (field === undefined) return [`${name} is not in the list`];
    const [, type, values] = field;
    if (!types[type](value)) return [`${name}: ${JSON.stringify(value)} is no ${String(type)}`];
    const others = [value].flat().filter((one) => values !== undefined && !values.includes(one as string));
    return others.map((other) => `${name}: ${JSON.stringify(other)} is not one of its values`);
  });
}

/** The names of a list that have no pattern. */
export function namesOf(list: readonly Field[]): string[] {
  return list.flatMap(([name]) => (typeof name === "string" ? [name] : []));
}
