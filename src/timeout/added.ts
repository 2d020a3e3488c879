import type { ServerResponse } from "node:http";
import { type HeaderList, headersOf } from "../lib/response/snapshot.js";

type Value = HeaderList[number][1];

/** The headers in `after` that are not in `before`. Of a list only the new members. */
export function headersAdded(before: HeaderList, after: HeaderList): HeaderList {
  const known = new Map(before.map(([name, value]) => [name.toLowerCase(), value]));
  return after.flatMap(([name, value]): [string, Value][] => {
    const old = known.get(name.toLowerCase());
    if (!Array.isArray(value)) return old === value ? [] : [[name, value]];
    const more = value.filter((one) => !listOf(old).includes(one));
    return more.length === 0 ? [] : [[name, more]];
  });
}

/**
 * Puts back headers that outer code has added. It may have started to encode the body, so `Content-Encoding` is still
 * needed. It also decides the length of the body, so `Content-Length` goes.
 */
export function putBack(res: ServerResponse, added: HeaderList): void {
  const known = new Map(headersOf(res).map(([name, value]) => [name.toLowerCase(), value]));
  for (const [name, value] of added) {
    const old = known.get(name.toLowerCase());
    res.setHeader(name, Array.isArray(value) ? [...listOf(old), ...value] : value);
  }
  res.removeHeader("Content-Length");
}

function listOf(value: Value | undefined): readonly string[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [String(value)];
}
