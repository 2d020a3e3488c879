import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { LayerInfo } from "../../src/lib/express/layer-info.js";
import type { LayerCall, LayerWatcher } from "../../src/lib/express/watch-layers.js";
import type { Redaction } from "../../src/lib/log/redact.js";
import { knownState } from "../../src/lib/request/state.js";
import { detailOf, summaryOf } from "./detail.js";
import { describeUnnamed } from "./known-names.js";
import { Recording, type RecordingListener } from "./recording.js";
import type { Detail, Sample, Summary } from "./report.js";
import { Servers, type UpgradeWatcher } from "./servers.js";
import { DEFAULT_REDACTION } from "./shown-headers.js";
import { Stats } from "./stats.js";
import { Upgrade, type UpgradeListener } from "./upgrade.js";
import { upgradeDetail, upgradeSummary } from "./upgrade-detail.js";

/** More requests at once are not recorded. */
const MAX_IN_FLIGHT = 1_000;

/** Who gets what is new. */
export interface Listener {
  changed(id: number): void;
  sampled(sample: Sample): void;
}

/** Records the requests of one app, and keeps the newest ones. */
export class Inspector implements LayerWatcher, RecordingListener, UpgradeWatcher, UpgradeListener {
  readonly stats: Stats;
  readonly #servers: Servers;
  /** Of a connection that has switched and is open, the recording. */
  readonly #kept = new Map<number, Detail | Recording | Upgrade>();
  readonly #inFlight = new Map<number, Recording | Upgrade>();
  #recordings = new WeakMap<IncomingMessage, Recording>();
  #upgrades = new WeakMap<IncomingMessage, Upgrade>();
  /** Of the app's request log, once a request has shown it. */
  #redaction: Redaction | undefined;
  #hasRequest = false;
  #lastId = 0;
  #isClosed = false;

  constructor(
    app: object,
    readonly keep: number,
    private readonly listener: Listener,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.stats = new Stats((sample) => listener.sampled(sample));
    this.#servers = new Servers(app, this);
  }

  request(req: IncomingMessage, res: ServerResponse, run: () => void): void {
    const isKnown = this.#recordings.has(req) || knownState(req)?.internal === true;
    if (!isKnown) this.#servers.passed(req);
    if (isKnown || this.#inFlight.size >= MAX_IN_FLIGHT) {
      run();
      return;
    }
    const id = this.#replaceUpgrade(req) ?? ++this.#lastId;
    const recording = new Recording(id, req, res, this, this.now);
    this.#recordings.set(req, recording);
    this.#begin(id, recording);
    recording.run(run);
  }

  #begin(id: number, recording: Recording | Upgrade): void {
    this.#inFlight.set(id, recording);
    this.stats.inFlight++;
    this.listener.changed(id);
  }

  enter(req: IncomingMessage, _res: ServerResponse, layer: LayerInfo): LayerCall | undefined {
    return this.#recordings.get(req)?.enter(layer);
  }

  describe(handler: unknown): Pick<LayerInfo, "name" | "source"> {
    return describeUnnamed(handler);
  }

  switched(recording: Recording): void {
    this.#keep(recording.id, recording, recording.clock.elapsed);
  }

  ended(recording: Recording): void {
    this.#hasRequest = true;
    this.#redaction = recording.inspection.redaction ?? this.#redaction;
    if (!recording.hasSwitched) this.#keep(recording.id, detailOf(recording), recording.clock.elapsed);
    else if (this.#kept.has(recording.id)) {
      this.#kept.set(recording.id, detailOf(recording));
      this.listener.changed(recording.id);
    }
  }

  upgrade(req: IncomingMessage, socket: Duplex, listeners: number): Upgrade | undefined {
    if (this.#inFlight.size >= MAX_IN_FLIGHT) return undefined;
    const upgrade = new Upgrade(req, socket, listeners, this, this.now);
    this.#upgrades.set(req, upgrade);
    return upgrade;
  }

  show(upgrade: Upgrade): void {
    upgrade.id = ++this.#lastId;
    this.#begin(upgrade.id, upgrade);
    if (upgrade.status !== undefined) this.answered(upgrade);
  }

  answered(upgrade: Upgrade): void {
    const { id, isOpen, totalMs = 0 } = upgrade;
    if (id === undefined) return; // it is not shown
    this.#keep(id, isOpen ? upgrade : this.#detailOf(upgrade), totalMs);
  }

  closed(upgrade: Upgrade): void {
    const { id } = upgrade;
    if (id === undefined || !this.#kept.has(id)) return;
    this.#kept.set(id, this.#detailOf(upgrade));
    this.listener.changed(id);
  }

  /** A listener of the server has passed the request to the app, whose recording has more. Returns its id. */
  #replaceUpgrade(req: IncomingMessage): number | undefined {
    const upgrade = this.#upgrades.get(req);
    if (upgrade === undefined) return undefined;
    const { id } = upgrade;
    upgrade.stop();
    upgrade.id = undefined;
    if (id === undefined) return undefined;
    this.#kept.delete(id);
    if (this.#inFlight.delete(id)) this.stats.inFlight--;
    return id;
  }

  #keep(id: number, what: Detail | Recording | Upgrade, ms: number): void {
    this.#inFlight.delete(id);
    this.stats.inFlight--;
    this.stats.ended(ms);
    if (this.#isClosed) return;
    this.#kept.set(id, what);
    for (const [oldest, kept] of this.#kept) {
      if (this.#kept.size <= this.keep) break;
      this.#kept.delete(oldest);
      if (kept instanceof Upgrade) kept.stop();
    }
    this.listener.changed(id);
  }

  detail(id: number): Detail | undefined {
    const kept = this.#kept.get(id);
    return kept instanceof Recording || kept instanceof Upgrade ? this.#detailOf(kept) : kept;
  }

  summary(id: number): Summary | undefined {
    const recording = this.#inFlight.get(id);
    return recording === undefined ? this.detail(id)?.summary : this.#summaryOf(recording);
  }

  /** Of all that are kept or in flight, the oldest first. */
  summaries(): Summary[] {
    const ended = [...this.#kept.keys()].map((id) => this.detail(id)!.summary);
    const inFlight = [...this.#inFlight.values()].map((recording) => this.#summaryOf(recording));
    return [...ended, ...inFlight].sort((a, b) => a.id - b.id);
  }

  #summaryOf(recording: Recording | Upgrade): Summary {
    if (recording instanceof Recording) return summaryOf(recording);
    return upgradeSummary(recording, this.#knownRedaction());
  }

  #detailOf(recording: Recording | Upgrade): Detail {
    if (recording instanceof Recording) return detailOf(recording);
    return upgradeDetail(recording, this.#knownRedaction());
  }

  /** Undefined while no request has come to the app. */
  #knownRedaction(): Redaction | undefined {
    return this.#redaction ?? (this.#hasRequest ? DEFAULT_REDACTION : undefined);
  }

  close(): void {
    this.#isClosed = true;
    this.stats.close();
    this.#servers.close();
    for (const recording of [...this.#kept.values(), ...this.#inFlight.values()]) {
      if (recording instanceof Upgrade) recording.stop();
    }
    this.#kept.clear();
    this.#inFlight.clear();
    this.#recordings = new WeakMap();
    this.#upgrades = new WeakMap();
  }
}
