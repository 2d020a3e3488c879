import type { ErrorRequestHandler, RequestHandler } from "express";
import { stderrLogger } from "../../src/lib/log/stderr-logger.js";

export interface Complaint {
  readonly level: "warn" | "error";
  readonly message: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was reported
  readonly fields: any;
}

/** Catches what is reported to standard error; to be called in `beforeEach`, with `jest.restoreAllMocks` after it. */
export function catchComplaints(): Complaint[] {
  const complaints: Complaint[] = [];
  for (const level of ["warn", "error"] as const) {
    jest.spyOn(stderrLogger, level).mockImplementation((fields, message) => {
      complaints.push({ level, message, fields });
    });
  }
  return complaints;
}

/** A thenable that breaks the rules. */
export function rejectsTwice(): unknown {
  const reject = (_: unknown, rejected: (error: Error) => void) => {
    rejected(new Error("no"));
    rejected(new Error("no, again"));
  };
  // biome-ignore lint/suspicious/noThenProperty: a thenable is what is wanted
  return Object.defineProperty({}, "then", { value: reject });
}

export function thrower(value: unknown): RequestHandler {
  return () => {
    throw value;
  };
}

/** Answers with 500 and what it was given, under a name of its own. */
export function catcher(name: string): ErrorRequestHandler {
  return (error, _req, res, _next) =>
    void res.status(500).send(`${name}: ${error instanceof Error ? error.message : String(error)}`);
}
