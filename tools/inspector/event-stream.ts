import type { ServerResponse } from "node:http";
import type { Listener } from "./inspector.js";
import type { Sample, Summary } from "./report.js";

const MAX_PAGES = 20;
/** What is new is sent together. */
const INTERVAL_MS = 100;
/** A page that does not read is closed; its browser connects again. */
const MAX_UNREAD_BYTES = 4_000_000;

/** What the event stream is filled from. */
export interface Source {
  readonly keep: number;
  readonly summaries: () => Summary[];
  readonly summary: (id: number) => Summary | undefined;
  readonly samples: () => readonly Sample[];
}

/** Sends what is new to the open pages, by server-sent events. Without a page it does nothing. */
export class EventStream implements Listener {
  readonly #pages = new Set<ServerResponse>();
  readonly #changed = new Set<number>();
  #timer: NodeJS.Timeout | undefined;
  source!: Source;

  changed(id: number): void {
    if (this.#pages.size === 0) return;
    this.#changed.add(id);
    this.#timer ??= setTimeout(() => this.#flush(), INTERVAL_MS).unref();
  }

  sampled(sample: Sample): void {
    this.#send("sample", sample);
  }

  add(res: ServerResponse): void {
    if (this.#pages.size >= MAX_PAGES) {
      res.writeHead(503, { "Content-Length": 0 });
      res.end();
      return;
    }
    res.writeHead(200, { "Content-Type": "text/event-stream" });
    this.#pages.add(res);
    res.on("close", () => this.#pages.delete(res));
    const { source } = this;
    write(res, "all", { keep: source.keep, requests: source.summaries(), samples: source.samples() });
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const res of this.#pages) {
      write(res, "closed", {});
      res.end();
    }
    this.#pages.clear();
  }

  #flush(): void {
    this.#timer = undefined;
    const summaries = [...this.#changed].flatMap((id) => this.source.summary(id) ?? []);
    this.#changed.clear();
    if (summaries.length > 0) this.#send("requests", summaries);
  }

  #send(event: string, data: unknown): void {
    for (const res of this.#pages) write(res, event, data);
  }
}

function write(res: ServerResponse, event: string, data: unknown): void {
  if (res.writableLength > MAX_UNREAD_BYTES) res.destroy();
  else res.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}
