import type { Worker } from "node:cluster";
import type { Logger } from "../lib/log/logger.js";
import { describeThrown } from "../lib/values/thrown.js";
import { cluster, type FromWorker, unwrap, wrap } from "./cluster.js";
import type { CloseReport } from "./options.js";
import type { ServePlan } from "./plan.js";

type Report = Pick<CloseReport, "forced" | "tasksLeft">;

interface Member {
  readonly worker: Worker;
  readonly startedAt: number;
  /** The address of each of its servers. */
  readonly urls: Map<number, string>;
  readonly reports: Map<number, Report>;
  /** Its successor has been started, or starts after a pause. */
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
export class WorkerPool {
  private readonly members = new Set<Member>();
  private readonly size: number;
  private readonly logger: Logger;
  private readonly pendingChecks = new Set<() => void>();
  private readonly servers = new Set<number>();
  private readonly closingServers = new Set<number>();
  private readonly reports = new Map<number, Report[]>();
  /** `serve` calls so far. The primary and each worker make the same calls in the same order. */
  private calls = 0;
  /** Why the workers could not start. */
  private failure: Error | undefined;
  /** Why a server could not be added to running workers. */
  private readonly failures = new Map<number, Error>();
  /** The servers that listen, or have listened, in every worker. */
  private readonly started = new Set<number>();
  private failedStarts = 0;
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
    return this.started.size > 0;
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
        (this.failure ?? this.failures.get(server)) !== undefined ||
        (this.members.size >= this.size && [...this.members].every(({ urls }) => urls.has(server))),
    );
    const failure = this.failure ?? this.failures.get(server);
    if (failure !== undefined) {
      this.servers.delete(server);
      if (!this.hasStarted) this.kill();
      throw failure;
    }
    this.started.add(server);
    return [...this.members][0]!.urls.get(server)!;
  }

  /** Closes this server in every worker. A worker ends when its last server has closed. */
  async close(server: number, { delayMs, deadlineMs }: ServePlan["drain"]): Promise<Report> {
    this.closingServers.add(server);
    if (this.isOver) for (const pause of this.pauses) clearTimeout(pause);
    for (const { worker } of this.members) worker.send(wrap({ type: "close", server }), ignore);
    const hasReport = (member: Member) => member.reports.has(server);
    const killTimer = setTimeout(
      () => {
        for (const member of this.members) if (!hasReport(member)) member.worker.process.kill("SIGKILL");
      },
      Math.min(delayMs + deadlineMs + PATIENCE_MS, LONGEST_TIMER_MS),
    );
    await this.until(() => (this.isOver ? this.members.size === 0 : [...this.members].every(hasReport)));
    clearTimeout(killTimer);
    const reports = this.reports.get(server) ?? [];
    return {
      forced: reports.some(({ forced }) => forced),
      tasksLeft: reports.flatMap(({ tasksLeft }) => tasksLeft),
    };
  }

  kill(): void {
    for (const { worker } of this.members) worker.process.kill("SIGKILL");
  }

  private fork(): void {
    const startedAt = performance.now();
    let worker: Worker;
    try {
      worker = cluster().fork();
    } catch (error) {
      this.onForkError({ startedAt, isReplaced: false }, error);
      return;
    }
    const member: Member = {
      worker,
      startedAt,
      urls: new Map(),
      reports: new Map(),
      isReplaced: false,
    };
    this.members.add(member);
    worker.on("message", (received) => {
      const message = unwrap<FromWorker>(received);
      if (message !== undefined) this.onMessage(member, message);
    });
    worker.on("error", (error) => {
      if (worker.process.pid !== undefined) return; // the channel broke; 'exit' follows
      this.members.delete(member);
      this.onForkError(member, error);
    });
    worker.on("exit", (code, signal) => this.onExit(member, code, signal));
  }

  private onMessage(member: Member, message: FromWorker): void {
    switch (message.type) {
      case "listening":
        member.urls.set(message.server, message.url);
        // The server closes already, or another worker could not listen.
        if (this.closingServers.has(message.server) || this.failures.has(message.server)) {
          member.worker.send(wrap({ type: "close", server: message.server }), ignore);
        }
        break;
      case "failed":
        this.onListenError(
          message.server,
          Object.assign(new Error(message.message), message.code && { code: message.code }),
        );
        break;
      case "closing":
        if (this.closingServers.size === 0) this.replace(member, 0);
        break;
      case "closed":
        this.addReport(member, message.server, message.report);
        break;
      case "leaving":
        member.worker.send(wrap({ type: "released" }), ignore);
        break;
    }
    this.runChecks();
  }

  private onListenError(server: number, error: Error): void {
    if (!this.hasStarted) {
      this.failure ??= error;
      return;
    }
    this.logger.error({ reason: error.message }, "a worker could not listen");
    if (this.started.has(server) || this.failures.has(server)) return;
    this.failures.set(server, error);
    for (const { worker, urls } of this.members) {
      if (urls.has(server)) worker.send(wrap({ type: "close", server }), ignore);
    }
  }

  private onExit(member: Member, code: number | null, signal: string | null): void {
    this.members.delete(member);
    for (const server of this.closingServers) {
      if (member.reports.has(server)) continue;
      // It ended without a report. If it had not begun to listen, it has lost nothing.
      this.addReport(member, server, { forced: member.urls.has(server), tasksLeft: [] });
    }
    const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
    const failure = new Error(`serve(): a worker ended ${how} before it listened`);
    const { pid } = member.worker.process;
    this.onLoss(member, { pid, code, signal }, "a worker has ended; another one starts", failure);
  }

  /** The system refused a new process: it has too many, or too little memory, or what should run is not there. */
  private onForkError(member: Pick<Member, "startedAt" | "isReplaced">, error: unknown): void {
    const reason = describeThrown(error).message;
    const failure = new Error(`serve(): a worker could not be started: ${reason}`, { cause: error });
    this.onLoss(member, { reason }, "a worker could not be started; it is tried again", failure);
  }

  private onLoss(
    member: Pick<Member, "startedAt" | "isReplaced">,
    fields: object,
    message: string,
    failure: Error,
  ): void {
    if (!this.hasStarted) {
      this.failure ??= failure;
    } else if (!this.isOver && !member.isReplaced) {
      const hasFailedStart = performance.now() - member.startedAt < SHORT_LIFE_MS;
      this.failedStarts = hasFailedStart ? this.failedStarts + 1 : 0;
      const pause = hasFailedStart
        ? Math.min(FIRST_PAUSE_MS * 2 ** (this.failedStarts - 1), LONGEST_PAUSE_MS)
        : 0;
      this.logger.warn({ ...fields, pauseMs: pause }, message);
      this.replace(member, pause);
    }
    this.runChecks();
  }

  private replace(member: Pick<Member, "isReplaced">, pauseMs: number): void {
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

  private addReport(member: Member, server: number, { forced, tasksLeft }: Report): void {
    member.reports.set(server, { forced, tasksLeft });
    if (!this.closingServers.has(server)) return; // only this worker closes
    const reports = this.reports.get(server) ?? [];
    this.reports.set(server, [...reports, { forced, tasksLeft }]);
  }

  private until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!condition()) return;
        this.pendingChecks.delete(check);
        resolve();
      };
      this.pendingChecks.add(check);
      check();
    });
  }

  private runChecks(): void {
    for (const check of [...this.pendingChecks]) check();
  }
}

function ignore(): void {}
