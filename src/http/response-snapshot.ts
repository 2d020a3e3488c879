import type { ServerResponse } from "node:http";
import { dropTaps, tapsOf } from "./body-tap.js";

/** The headers of a response as they were written: names in their own case, lists as lists. */
export type HeaderList = readonly (readonly [name: string, value: string | number | readonly string[]])[];

/** What of a response is to come back when an answer takes the place of what was done to it since. */
export interface ResponseSnapshot {
  readonly headers: HeaderList;
  readonly sendDate: boolean;
  /** The methods by which an answer is made, as whoever stands further out has left them. */
  readonly methods: object;
  /** How many taps were on its body. */
  readonly taps: number;
}

export function snapshotOf(res: ServerResponse): ResponseSnapshot {
  const { setHeader, removeHeader, appendHeader, setHeaders, writeHead, flushHeaders, write, end } = res;
  return {
    headers: headersOf(res),
    sendDate: res.sendDate,
    methods: { setHeader, removeHeader, appendHeader, setHeaders, writeHead, flushHeaders, write, end },
    taps: tapsOf(res),
  };
}

/**
 * Takes back what was done since: headers, and patches of the response's methods. An inner patch may hold an answer
 * back (a session that is being saved), or code its body under headers that are gone.
 */
export function restore(res: ServerResponse, { headers, sendDate, methods, taps }: ResponseSnapshot): void {
  dropTaps(res, taps);
  Object.assign(res, methods);
  replaceHeaders(res, headers);
  res.sendDate = sendDate; // Node takes the removal of a Date header for a wish to send none
}

/** Node's types leave it out; on HTTP/2, where names have no case, there is none. */
type RawNames = ServerResponse & { getRawHeaderNames?(): string[] };

export function headersOf(res: ServerResponse): HeaderList {
  const names = (res as RawNames).getRawHeaderNames?.() ?? res.getHeaderNames();
  const headers: [string, string | number | string[]][] = [];
  for (const name of names) {
    const value = res.getHeader(name);
    // `appendHeader` adds to the list that it finds.
    if (value !== undefined) headers.push([name, Array.isArray(value) ? value.slice() : value]);
  }
  return headers;
}

export function replaceHeaders(res: ServerResponse, headers: HeaderList): void {
  const kept = new Set(headers.map(([name]) => name.toLowerCase()));
  for (const name of res.getHeaderNames()) {
    if (!kept.has(name)) res.removeHeader(name);
  }
  for (const [name, value] of headers) res.setHeader(name, value);
}
