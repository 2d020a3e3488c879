import type { RequestHandler } from "express";

/** Readiness: runs the check in the background, never per request, and answers by its last result. */
export function readiness(
  check: (signal: AbortSignal) => unknown,
  everyMs = 5_000,
  timeoutMs = 2_000,
): RequestHandler {
  let passes = false; // until the first result
  const run = async (): Promise<void> => {
    const signal = AbortSignal.timeout(timeoutMs);
    const late = new Promise((_resolve, reject) => signal.addEventListener("abort", reject));
    try {
      passes = (await Promise.race([Promise.resolve(signal).then(check), late])) !== false;
    } catch {
      passes = false;
    }
    setTimeout(run, everyMs).unref();
  };
  setImmediate(run);
  return (_req, res) => {
    res.set("Cache-Control", "no-store").status(passes ? 200 : 503);
    res.json({ status: passes ? "pass" : "fail" });
  };
}
