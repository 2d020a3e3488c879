import { isErrorHandler, type Member, nameOf } from "./members.js";
import type { Subject } from "./report.js";

/** One member of a chain and what follows from its place in it. */
export interface Step extends Subject {
  readonly handle: Member;
  readonly isErrorHandler: boolean;
  /** Runs when this step calls `next()`; undefined: what comes after the chain. */
  readonly following: Step | undefined;
  /** Gets the errors of this step: the nearest error handler on the left; undefined: what comes after the chain. */
  readonly errorHandler: Step | undefined;
}

/** Returns the first step for a request. The last member must not be an error handler. */
export function compile(members: readonly Member[], isChain = true): Step {
  const steps: { -readonly [K in keyof Step]: Step[K] }[] = [];
  let errorHandler: Step | undefined;
  members.forEach((handle, index) => {
    const step = {
      name: nameOf(handle),
      index: isChain ? index : undefined,
      handle,
      isErrorHandler: isErrorHandler(handle),
      following: undefined,
      errorHandler,
    };
    if (step.isErrorHandler) errorHandler = step;
    steps.push(step);
  });
  let following: Step | undefined;
  for (const step of steps.reverse()) {
    if (step.isErrorHandler) continue; // runs only after an error; its `next()` leaves the chain
    step.following = following;
    following = step;
  }
  return following!;
}
