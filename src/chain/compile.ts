import { isErrorHandler, type Member, nameOf } from "./members.js";
import type { Subject } from "./report.js";

/** One member with all that its place in the chain decides. */
export interface Step extends Subject {
  readonly handle: Member;
  readonly isErrorHandler: boolean;
  /** Who runs when this one passes the request on; undefined: what comes after the chain. */
  readonly following: Step | undefined;
  /** Who gets this one's errors: the nearest error handler to its left; undefined: what comes after the chain. */
  readonly catcher: Step | undefined;
}

/** The step that a request begins with. The last member is one that runs when all is well. */
export function compile(members: readonly Member[], isChain = true): Step {
  const steps: { -readonly [K in keyof Step]: Step[K] }[] = [];
  let catcher: Step | undefined;
  members.forEach((handle, index) => {
    const step = {
      name: nameOf(handle),
      index: isChain ? index : undefined,
      handle,
      isErrorHandler: isErrorHandler(handle),
      following: undefined,
      catcher,
    };
    if (step.isErrorHandler) catcher = step;
    steps.push(step);
  });
  let following: Step | undefined;
  for (const step of steps.reverse()) {
    if (step.isErrorHandler) continue; // skipped while all is well, and what it passes on leaves the chain
    step.following = following;
    following = step;
  }
  return following!;
}
