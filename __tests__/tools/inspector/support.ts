import type { Express } from "express";
import { type InspectOptions, inspect } from "../../../tools/inspector/index.js";
import type { Call, Detail, Sample, Summary } from "../../../tools/inspector/report.js";

export interface Opened {
  readonly url: string;
  /** The newest kept request with this path, or id, once it has ended. */
  ended(which: string | number): Promise<Detail>;
  all(): Promise<{ requests: Summary[]; samples: Sample[] }>;
  close(): Promise<void>;
}

const open: Opened[] = [];

/** Opens an inspector; `closeInspectors` closes it (put that in `afterEach`). */
export async function openInspector(app: Express, options?: InspectOptions): Promise<Opened> {
  const { url, close } = await inspect(app, options);
  const all = async () => (await firstEvent(`${url}events`)) as { requests: Summary[]; samples: Sample[] };
  const opened: Opened = {
    url,
    close,
    all,
    async ended(which) {
      for (let tries = 0; tries < 500; tries++) {
        const { requests } = await all();
        const found = requests.findLast(({ id, path }) => id === which || path === which);
        if (found?.status !== undefined)
          return (await (await fetch(`${url}requests/${found.id}`)).json()) as Detail;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      throw new Error(`${which} has not ended`);
    },
  };
  open.push(opened);
  return opened;
}

export async function closeInspectors(): Promise<void> {
  await Promise.all(open.splice(0).map(({ close }) => close()));
}

async function firstEvent(url: string): Promise<unknown> {
  const response = await fetch(url);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const event = /^event: all\ndata: (.*)\n\n/.exec(text);
    if (event !== null) return JSON.parse(event[1]!); // leaving the loop cancels the stream
  }
  throw new Error(`no event: ${text.slice(0, 200)}`);
}

/** The calls by name, without the app itself; handlers of a route as `GET /path`, if they have no name. */
export function namesOf({ calls }: Detail): string[] {
  return calls.slice(1).map((call) => nameOf(call));
}

function nameOf({ kind, name, path }: Call): string {
  if (kind === "route") return `${name} ${path}`;
  return name || `unnamed ${path}`;
}

export function callOf({ calls }: Detail, name: string): Call {
  const found = calls.find((call) => nameOf(call) === name);
  if (found === undefined) throw new Error(`no call of ${name}: ${calls.map(nameOf)}`);
  return found;
}

/** The times of all parts, which are the total. */
export function sumOf({ calls, sendingMs }: Detail): number {
  return calls.reduce((sum, { downMs, heldMs, upMs }) => sum + downMs + heldMs + upMs, sendingMs);
}

export function decisionOf({ decisions }: Detail, about: string): string | undefined {
  return decisions.find((decision) => decision.about === about)?.text;
}
