import type { IncomingMessage, ServerResponse } from "node:http";
import type { LayerInfo } from "../../src/lib/express/layer-info.js";
import type { LayerCall, LayerWatcher } from "../../src/lib/express/watch-layers.js";
import { knownState } from "../../src/lib/request/state.js";
import { detailOf, summaryOf } from "./detail.js";
import { Recording } from "./recording.js";
import type { Detail, Sample, Summary } from "./report.js";
import { Stats } from "./stats.js";

/** More requests at once are not recorded. */
const MAX_IN_FLIGHT = 1_000;

/** Who gets what is new. */
export interface Listener {
  changed(id: number): void;
  sampled(sample: Sample): void;
}

/** Records the requests of one app, and keeps the newest ones. */
export class Inspector implements LayerWatcher {
  readonly stats: Stats;
  readonly #details = new Map<number, Detail>();
  readonly #inFlight = new Map<number, Recording>();
  #recordings = new WeakMap<IncomingMessage, Recording>();
  #lastId = 0;
  #isClosed = false;

  constructor(
    readonly keep: number,
    private readonly listener: Listener,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.stats = new Stats((sample) => listener.sampled(sample));
  }

  request(req: IncomingMessage, res: ServerResponse, run: () => void): void {
    const isKnown = this.#recordings.has(req) || knownState(req)?.internal === true;
    if (isKnown || this.#inFlight.size >= MAX_IN_FLIGHT) {
      run();
      return;
    }
    const id = ++this.#lastId;
    const recording = new Recording(id, req, res, (ended) => this.#ended(ended), this.now);
    this.#recordings.set(req, recording);
    this.#inFlight.set(id, recording);
    this.stats.inFlight++;
    this.listener.changed(id);
    recording.run(run);
  }

  enter(req: IncomingMessage, _res: ServerResponse, layer: LayerInfo): LayerCall | undefined {
    return this.#recordings.get(req)?.enter(layer);
  }

  #ended(recording: Recording): void {
    const { id, clock } = recording;
    this.#inFlight.delete(id);
    this.stats.inFlight--;
    this.stats.ended(clock.elapsed);
    if (this.#isClosed) return;
    this.#details.set(id, detailOf(recording));
    for (const oldest of this.#details.keys()) {
      if (this.#details.size <= this.keep) break;
      this.#details.delete(oldest);
    }
    this.listener.changed(id);
  }

  detail(id: number): Detail | undefined {
    return this.#details.get(id);
  }

  summary(id: number): Summary | undefined {
    const recording = this.#inFlight.get(id);
    return recording === undefined ? this.#details.get(id)?.summary : summaryOf(recording);
  }

  /** Of all that are kept or in flight, the oldest first. */
  summaries(): Summary[] {
    const ended = [...this.#details.values()].map(({ summary }) => summary);
    return [...ended, ...[...this.#inFlight.values()].map(summaryOf)].sort((a, b) => a.id - b.id);
  }

  close(): void {
    this.#isClosed = true;
    this.stats.close();
    this.#details.clear();
    this.#inFlight.clear();
    this.#recordings = new WeakMap();
  }
}
