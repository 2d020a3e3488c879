import type { Worker } from "node:cluster";
import type { Logger } from "../lib/log/logger.js";
import type { CloseReport } from "./close.js";
import { cluster } from "./cluster.js";
import { type FromWorker, mark, unmark } from "./messages.js";
import type { ServePlan } from "./options.js";

type Result = Pick<CloseReport, "forced" | "tasksLeft">;

interface Member {
  readonly worker: Worker;
  readonly startedAt: number;
  /** The address of each of its servers. */
  readonly urls: Map<number, string>;
  readonly reports: Map<number, Result>;
  /** Its successor has been started. */
  isReplaced: boolean;
}

/** A worker that ends sooner than this counts as failed to start: its successor starts after a pause. */
const SHORT_LIFE_MS = 5_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** How long after its own deadline a worker is killed. */
const PATIENCE_MS = 2_000;
/** Node runs a timer with a longer time after one millisecond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The workers of a primary. Starts as many as configured, and replaces those that end before `close`. */
export class Pool {
  private readonly members = new Set<Member>();
  private readonly size: number;
  private readonly logger: Logger;
  private readonly waiting = new Set<() => void>();
  private readonly servers = new Set<number>();
  private readonly closingServers = new Set<number>();
  private readonly results = new Map<number, Result[]>();
  /** `serve` calls so far. The primary and each worker make the same calls in the same order. */
  private calls = 0;
  /** Why the workers could not start. */
  private failure: Error | undefined;
  /** Why a server could not be added to running workers. */
  private readonly refused = new Map<number, Error>();
  /** The servers that listen, or have listened, in every worker. */
  private readonly up = new Set<number>();
  private shortLives = 0;
  private pauses = new Set<NodeJS.Timeout>();

  constructor({ workers, logger }: ServePlan) {
    this.size = workers;
    this.logger = logger;
    for (let i = 0; i < workers; i++) this.fork();
  }

  get pids(): readonly number[] {
    return [...this.members].flatMap(({ worker, isReplaced }) =>
      worker.process.pid === undefined || isReplaced ? [] : [worker.process.pid],
    );
  }

  /** Its last server closes, or it has failed to start: the next `serve` call needs a new pool. */
  get isOver(): boolean {
    return this.failure !== undefined || this.closingServers.size === this.servers.size;
  }

  private get hasStarted(): boolean {
    return this.up.size > 0;
  }

  /** Adds a server and returns its number. */
  add(): number {
    this.servers.add(this.calls);
    return this.calls++;
  }

  /** Waits until this server listens in every worker. */
  async listening(server: number): Promise<string> {
    await this.until(
      () =>
        (this.failure ?? this.refused.get(server)) !== undefined ||
        (this.members.size >= this.size && [...this.members].every(({ urls }) => urls.has(server))),
    );
    const refused = this.failure ?? this.refused.get(server);
    if (refused !== undefined) {
      this.servers.delete(server);
      if (!this.hasStarted) this.kill();
      throw refused;
    }
    this.up.add(server);
    return [...this.members][0]!.urls.get(server)!;
  }

  /** Closes this server in every worker. A worker ends when its last server has closed. */
  async close(server: number, { delayMs, deadlineMs }: ServePlan["drain"]): Promise<Result> {
    this.closingServers.add(server);
    if (this.isOver) for (const pause of this.pauses) clearTimeout(pause);
    for (const { worker } of this.members) worker.send(mark({ type: "close", server }), ignore);
    const has = (member: Member) => member.reports.has(server);
    const kill = setTimeout(
      () => {
        for (const member of this.members) if (!has(member)) member.worker.process.kill("SIGKILL");
      },
      Math.min(delayMs + deadlineMs + PATIENCE_MS, LONGEST_TIMER_MS),
    );
    await this.until(() => (this.isOver ? this.members.size === 0 : [...this.members].every(has)));
    clearTimeout(kill);
    const results = this.results.get(server) ?? [];
    return {
      forced: results.some(({ forced }) => forced),
      tasksLeft: results.flatMap(({ tasksLeft }) => tasksLeft),
    };
  }

  kill(): void {
    for (const { worker } of this.members) worker.process.kill("SIGKILL");
  }

  private fork(): void {
    const worker = cluster().fork();
    const member: Member = {
      worker,
      startedAt: performance.now(),
      urls: new Map(),
      reports: new Map(),
      isReplaced: false,
    };
    this.members.add(member);
    worker.on("message", (message) => {
      const told = unmark<FromWorker>(message);
      if (told !== undefined) this.hear(member, told);
    });
    worker.on("error", () => {}); // the channel broke; 'exit' follows
    worker.on("exit", (code, signal) => this.lose(member, code, signal));
  }

  private hear(member: Member, told: FromWorker): void {
    switch (told.type) {
      case "listening":
        member.urls.set(told.server, told.url);
        // The server closes already, or another worker could not listen.
        if (this.closingServers.has(told.server) || this.refused.has(told.server)) {
          member.worker.send(mark({ type: "close", server: told.server }), ignore);
        }
        break;
      case "failed":
        this.refuse(told.server, Object.assign(new Error(told.message), told.code && { code: told.code }));
        break;
      case "closing":
        if (this.closingServers.size === 0) this.replace(member, 0);
        break;
      case "closed":
        this.note(member, told.server, told.report);
        break;
      case "farewell":
        member.worker.send(mark({ type: "farewell" }), ignore);
        break;
    }
    this.look();
  }

  private refuse(server: number, error: Error): void {
    if (!this.hasStarted) {
      this.failure ??= error;
      return;
    }
    this.logger.error({ reason: error.message }, "a worker could not listen");
    if (this.up.has(server) || this.refused.has(server)) return;
    this.refused.set(server, error);
    for (const { worker, urls } of this.members) {
      if (urls.has(server)) worker.send(mark({ type: "close", server }), ignore);
    }
  }

  private lose(member: Member, code: number | null, signal: string | null): void {
    this.members.delete(member);
    for (const server of this.closingServers) {
      if (member.reports.has(server)) continue;
      // It ended without a report. If it had not begun to listen, it has lost nothing.
      this.note(member, server, { forced: member.urls.has(server), tasksLeft: [] });
    }
    if (!this.hasStarted) {
      const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
      this.failure ??= new Error(`serve(): a worker ended ${how} before it listened`);
    } else if (!this.isOver && !member.isReplaced) {
      const isShort = performance.now() - member.startedAt < SHORT_LIFE_MS;
      this.shortLives = isShort ? this.shortLives + 1 : 0;
      const pause = isShort ? Math.min(FIRST_PAUSE_MS * 2 ** (this.shortLives - 1), LONGEST_PAUSE_MS) : 0;
      this.logger.warn(
        { pid: member.worker.process.pid, code, signal, pauseMs: pause },
        "a worker has ended; another one starts",
      );
      this.replace(member, pause);
    }
    this.look();
  }

  private replace(member: Member, pauseMs: number): void {
    if (member.isReplaced || !this.hasStarted) return;
    member.isReplaced = true;
    if (pauseMs === 0) {
      this.fork();
      return;
    }
    const pause = setTimeout(() => {
      this.pauses.delete(pause);
      if (!this.isOver) this.fork();
    }, pauseMs);
    this.pauses.add(pause);
  }

  private note(member: Member, server: number, { forced, tasksLeft }: Result): void {
    member.reports.set(server, { forced, tasksLeft });
    if (!this.closingServers.has(server)) return; // only this worker closes
    const results = this.results.get(server) ?? [];
    this.results.set(server, [...results, { forced, tasksLeft }]);
  }

  private until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!condition()) return;
        this.waiting.delete(check);
        resolve();
      };
      this.waiting.add(check);
      check();
    });
  }

  private look(): void {
    for (const check of [...this.waiting]) check();
  }
}

function ignore(): void {}
