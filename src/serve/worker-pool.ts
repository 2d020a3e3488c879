import type { Worker } from "node:cluster";
import type { Logger } from "../lib/log/logger.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import { cluster, type FromWorker, unwrap } from "./cluster.js";
import type { ServePlan } from "./plan.js";
import { Member, type Report, Start } from "./pool-member.js";

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
    return [...this.members].flatMap(({ pid, isReplaced }) => (pid === undefined || isReplaced ? [] : [pid]));
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
    for (const member of this.members) this.tellToClose(member, server);
    const hasReport = (member: Member) => member.reports.has(server);
    const killTimer = setTimeout(
      () => {
        for (const member of this.members) if (!hasReport(member)) member.kill();
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
    for (const member of this.members) member.kill();
  }

  private fork(): void {
    const startedMs = performance.now();
    let worker: Worker;
    try {
      worker = cluster().fork();
    } catch (error) {
      this.onForkError(new Start(startedMs), error);
      return;
    }
    const member = new Member(startedMs, worker);
    this.members.add(member);
    worker.on("message", (received) => {
      const message = unwrap<FromWorker>(received);
      if (message !== undefined) this.onMessage(member, message);
    });
    worker.on("error", (error) => {
      if (member.pid !== undefined) return; // the channel broke; 'exit' follows
      this.members.delete(member);
      delete cluster().workers?.[worker.id]; // Node keeps it if there are too many open files
      this.onForkError(member, error);
    });
    worker.on("exit", (code, signal) => this.onExit(member, code, signal));
  }

  private onMessage(member: Member, message: FromWorker): void {
    switch (message.type) {
      case "listening":
        member.urls.set(message.server, message.url);
        // The server closes already, or another worker could not listen.
        if (this.closingServers.has(message.server) || this.failures.has(message.server))
          this.tellToClose(member, message.server);
        break;
      case "failed":
        this.onListenError(
          message.server,
          Object.assign(new Error(message.message), message.code && { code: message.code }),
        );
        break;
      case "closing":
        if (this.closingServers.size > 0 || member.told.has(message.server)) break;
        if (member.hasLivedLong) this.failedStarts = 0;
        this.replace(member, 0);
        break;
      case "closed":
        this.addReport(member, message.server, message.report);
        break;
      case "leaving":
        member.send({ type: "released" });
        break;
    }
    this.runChecks();
  }

  private onListenError(server: number, error: Error): void {
    if (!this.hasStarted && server === 0) {
      this.failure ??= error;
      return;
    }
    if (this.hasStarted) this.logger.error({ reason: error.message }, "a worker could not listen");
    if (this.started.has(server) || this.failures.has(server)) return;
    this.failures.set(server, error);
    for (const member of this.members) if (member.urls.has(server)) this.tellToClose(member, server);
  }

  private tellToClose(member: Member, server: number): void {
    // A program that has several servers may open the next one later.
    const isStillToOpen = (other: number) =>
      !this.closingServers.has(other) && !this.failures.has(other) && !member.urls.has(other);
    member.tellToClose(server, [...this.servers].some(isStillToOpen));
  }

  private onExit(member: Member, code: number | null, signal: string | null): void {
    this.members.delete(member);
    for (const server of this.closingServers) {
      if (member.reports.has(server)) continue;
      // It ended without a report. If it had not begun to listen, it has lost nothing.
      this.addReport(member, server, { forced: member.urls.has(server), tasksLeft: [] });
    }
    const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
    const [reason] = this.failures.values(); // it may have ended because its next server could not listen
    const failure = reason ?? new Error(`serve(): a worker ended ${how} before it listened`);
    this.onLoss(member, { pid: member.pid, code, signal }, "a worker has ended; another one starts", failure);
  }

  /** The system refused a new process: it has too many, or too little memory, or what should run is not there. */
  private onForkError(start: Start, error: unknown): void {
    const reason = describeThrown(error).message;
    // Without its cause, which has the arguments of the program: they may contain secrets.
    const failure = Object.assign(new Error(`serve(): a worker could not be started: ${reason}`), {
      code: peek(error, "code"),
    });
    this.onLoss(start, { reason }, "a worker could not be started; it is tried again", failure);
  }

  private onLoss(start: Start, fields: object, message: string, failure: Error): void {
    if (!this.hasStarted) {
      this.failure ??= failure;
    } else if (!this.isOver && !start.isReplaced) {
      const hasFailedStart = !start.hasLivedLong;
      this.failedStarts = hasFailedStart ? this.failedStarts + 1 : 0;
      const pause = hasFailedStart
        ? Math.min(FIRST_PAUSE_MS * 2 ** (this.failedStarts - 1), LONGEST_PAUSE_MS)
        : 0;
      this.logger.warn({ ...fields, pauseMs: pause }, message);
      this.replace(start, pause);
    }
    this.runChecks();
  }

  private replace(start: Start, pauseMs: number): void {
    if (start.isReplaced || !this.hasStarted || this.isOver) return;
    start.isReplaced = true;
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
