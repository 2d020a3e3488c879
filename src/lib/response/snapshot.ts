import type { ServerResponse } from "node:http";
import { discardInside, levelOf } from "./intercept.js";

/** The headers of a response as they were set: names in their own case, lists as lists. */
export type HeaderList = readonly (readonly [name: string, value: string | number | readonly string[]])[];

type Value = HeaderList[number][1];
type FlatHeaders = readonly Value[];

/** Response state to restore when another answer replaces it. */
export interface ResponseSnapshot {
  /** Names and values, alternating: pairs would cost an array for each header. */
  readonly headers: FlatHeaders;
  readonly sendDate: boolean;
  /** The methods that write a response, as the outer middleware left them. */
  readonly methods: object;
  /** Of its innermost link. */
  readonly level: number;
}

export function snapshotOf(res: ServerResponse): ResponseSnapshot {
  const { setHeader, removeHeader, appendHeader, setHeaders, writeHead, flushHeaders, write, end } = res;
  return {
    headers: flatHeadersOf(res),
    sendDate: res.sendDate,
    methods: { setHeader, removeHeader, appendHeader, setHeaders, writeHead, flushHeaders, write, end },
    level: levelOf(res),
  };
}

/**
 * Undoes what was done since: headers, and patches of the response's methods. An inner patch may delay the answer (a session
 * that is being saved), or encode its body although the headers that say so are gone.
 */
export function restore(res: ServerResponse, { headers, sendDate, methods, level }: ResponseSnapshot): void {
  discardInside(res, level);
  Object.assign(res, methods);
  replaceHeaders(res, pairsOf(headers));
  res.sendDate = sendDate; // when a Date header is removed, Node sends none
}

export function headersOf(res: ServerResponse): HeaderList {
  return pairsOf(flatHeadersOf(res));
}

function pairsOf(flat: FlatHeaders): HeaderList {
  const pairs: [string, Value][] = [];
  for (let i = 0; i < flat.length; i += 2) pairs.push([String(flat[i]), flat[i + 1]!]);
  return pairs;
}

function flatHeadersOf(res: ServerResponse): FlatHeaders {
  const record = recordOf(res);
  return record === undefined ? listHeaders(res) : listRecord(record);
}

/** Not in Node's types; absent on HTTP/2, where names are in lower case. */
type RawNames = ServerResponse & { getRawHeaderNames?(): string[] };

function listHeaders(res: ServerResponse): FlatHeaders {
  const names = (res as RawNames).getRawHeaderNames?.() ?? res.getHeaderNames();
  const headers: Value[] = [];
  for (const name of names) {
    const value = res.getHeader(name);
    if (value !== undefined) headers.push(name, copyOf(value));
  }
  return headers;
}

/** Node's internal record of the headers: by the name in lower case, the name as it was set, and the value. */
type HeaderRecord = Readonly<Record<string, readonly [name: string, value: Value]>>;
type Recorded = ServerResponse & { readonly [place: symbol]: HeaderRecord | null | undefined };

function listRecord(record: HeaderRecord): FlatHeaders {
  const keys = Object.keys(record);
  const headers = new Array<Value>(2 * keys.length); // V8 gives an array that grows room for sixteen more
  for (let i = 0; i < keys.length; i++) {
    const entry = record[keys[i]!]!;
    headers[2 * i] = entry[0];
    headers[2 * i + 1] = copyOf(entry[1]);
  }
  return headers;
}

/** A copy, as `appendHeader` changes the list. */
function copyOf(value: Value): Value {
  return Array.isArray(value) ? value.slice() : value;
}

/** The symbol of that record; null if this Node has none. */
let place: symbol | null | undefined;

/** Reading the record takes a quarter of the time of reading each header. It is used only if both give the same. */
function recordOf(res: ServerResponse): HeaderRecord | undefined {
  if (place === null) return undefined;
  if (place !== undefined) return (res as Recorded)[place] ?? undefined;
  const found = Object.getOwnPropertySymbols(res).find(({ description }) => description === "kOutHeaders");
  const record = found === undefined ? undefined : (Reflect.get(res, found) as HeaderRecord | null);
  if (record === undefined || record === null) return undefined; // HTTP/2, or no header yet
  place = JSON.stringify(tryRecord(record)) === JSON.stringify(listHeaders(res)) ? found : null;
  return place === null ? undefined : record;
}

function tryRecord(record: HeaderRecord): FlatHeaders | undefined {
  try {
    return listRecord(record);
  } catch {
    return undefined;
  }
}

export function replaceHeaders(res: ServerResponse, headers: HeaderList): void {
  const kept = new Set(headers.map(([name]) => name.toLowerCase()));
  for (const name of res.getHeaderNames()) {
    if (!kept.has(name)) res.removeHeader(name);
  }
  for (const [name, value] of headers) res.setHeader(name, value);
}
