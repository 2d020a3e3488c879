import type { Logger } from "../log/logger.js";
import { errorInLine, inLine } from "../log/text.js";
import { describeThrown, peek } from "../values/thrown.js";
import { CheckLoop, type CheckResult } from "./check-loop.js";
import type { CheckPlan } from "./options.js";

/** What the answer says: `warn` if only checks fail that are not required. */
export type HealthStatus = "pass" | "warn" | "fail";

/** Runs checks in the background, and says what their last results mean together. */
export class Monitor {
  private readonly loops: readonly CheckLoop[];
  private beginning: NodeJS.Immediate | undefined;
  private isClosed = false;

  /** @param logger logs when a check begins to fail, and when it passes again */
  constructor(plans: readonly CheckPlan[], logger?: Logger) {
    const onResult = logger === undefined ? () => {} : logChanges(logger);
    this.loops = plans.map((plan) => new CheckLoop(plan, onResult));
  }

  /** Runs all checks in the next turn of the event loop: they may use what the module that made them declares below. */
  start(): this {
    this.beginning = setImmediate(() => {
      for (const loop of this.loops) loop.run();
    }).unref();
    return this;
  }

  /** Stops the timers and aborts the runs under way. From then on the status is `fail`. */
  close(): void {
    this.isClosed = true;
    clearImmediate(this.beginning);
    for (const loop of this.loops) loop.close();
  }

  /** A check without a result yet counts as failed. */
  status(isClosing: boolean): HealthStatus {
    if (isClosing || this.isClosed) return "fail";
    let status: HealthStatus = "pass";
    for (const { result, plan } of this.loops) {
      if (result?.passed === true) continue;
      if (plan.required) return "fail";
      status = "warn";
    }
    return status;
  }

  /** The answer: only the status, or also the result of each check. */
  answer(isClosing: boolean, details: boolean): { readonly status: 200 | 503; readonly body: string } {
    const status = this.status(isClosing);
    const body = details ? this.describe(status, isClosing || this.isClosed) : { status };
    return { status: status === "fail" ? 503 : 200, body: JSON.stringify(body) };
  }

  private describe(status: HealthStatus, closing: boolean): object {
    const checks = this.loops.map(({ plan, result }) => [plan.name, describeCheck(plan, result)]);
    return { status, ...(closing && { closing }), checks: Object.fromEntries(checks) };
  }
}

function describeCheck({ required }: CheckPlan, result: CheckResult | undefined): object {
  const failed: HealthStatus = required ? "fail" : "warn";
  if (result === undefined) return { status: failed, error: "no result yet" };
  const { passed, error, at, durationMs } = result;
  return {
    status: passed ? "pass" : failed,
    time: at.toISOString(),
    durationMs: Math.round(durationMs),
    ...(!passed && { error: reasonOf(error) }),
  };
}

/** The message, with the code that says more: Node's connection errors have no message, those of `fetch` only a cause. */
function reasonOf(error: unknown): string {
  const reason = errorInLine(error);
  const code = peek(error, "code") ?? peek(peek(error, "cause"), "code");
  return typeof code !== "string" || reason.includes(code) ? reason : `${reason} (${inLine(code)})`;
}

/** Logs when a check begins to fail (also with its first result) and when it passes again, but not each run. */
function logChanges(logger: Logger): (loop: CheckLoop, previous: CheckResult | undefined) => void {
  return ({ plan: { name, required }, result }, previous) => {
    const { passed, error } = result!;
    if (passed === (previous?.passed ?? true)) return;
    if (passed) logger.info({ check: name }, `health check passes again: ${inLine(name)}`);
    else
      logger[required ? "error" : "warn"](
        { check: name, error: describeThrown(error) },
        `health check failed: ${inLine(name)}: ${reasonOf(error)}`,
      );
  };
}
