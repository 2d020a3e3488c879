import type { ErrorRequestHandler, RequestHandler } from "express";
import { stderrLogger } from "../../src/lib/log/stderr-logger.js";

export interface Complaint {
  readonly level: "warn" | "error";
  readonly message: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read fields of any kind
  readonly fields: any;
}

/** Collects what is logged on standard error. Call it in `beforeEach`, and `jest.restoreAllMocks` after the test. */
export function catchComplaints(): Complaint[] {
  const complaints: Complaint[] = [];
  for (const level of ["warn", "error"] as const) {
    jest.spyOn(stderrLogger, level).mockImplementation((fields, message) => {
      complaints.push({ level, message, fields });
    });
  }
  return complaints;
}

/** A thenable that settles more than once. */
export function rejectsTwice(): unknown {
  const reject = (_: unknown, rejected: (error: Error) => void) => {
    rejected(new Error("no"));
    rejected(new Error("no, again"));
  };
  // biome-ignore lint/suspicious/noThenProperty: the test needs a thenable
  return Object.defineProperty({}, "then", { value: reject });
}

export function thrower(value: unknown): RequestHandler {
  return () => {
    throw value;
  };
}

/** An error handler that answers with its name and the error's message. */
export function catcher(name: string): ErrorRequestHandler {
  return (error, _req, res, _next) =>
    void res.status(500).send(`${name}: ${error instanceof Error ? error.message : String(error)}`);
}
