import { parserBeforeRateLimit, proxyHeaders, sessionBeforeStatic } from "./rules/before.js";
import { corsOrigins, corsPlace } from "./rules/cors.js";
import { errorHandlerParameters, errorHandlers } from "./rules/errors.js";
import { logFirst } from "./rules/log.js";
import { afterRoutes, notFoundLast } from "./rules/routes.js";
import { helmetBeside, sameTwice } from "./rules/twice.js";
import type { Finding, PipelineNode } from "./types.js";
import { type Step, stepsOf } from "./walk.js";

type Rule = (steps: readonly Step[], app: PipelineNode) => Finding[];

const RULES: readonly Rule[] = [
  corsPlace,
  corsOrigins,
  logFirst,
  parserBeforeRateLimit,
  afterRoutes,
  notFoundLast,
  errorHandlerParameters,
  errorHandlers,
  sessionBeforeStatic,
  proxyHeaders,
  sameTwice,
  helmetBeside,
];

/** What is wrong with a pipeline that has been read: the faults first. */
export function checkNodes(app: PipelineNode): Finding[] {
  const steps = stepsOf(app);
  const findings = RULES.flatMap((rule) => rule(steps, app));
  return [...findings.filter(isFault), ...findings.filter((one) => !isFault(one))];
}

export function isFault({ level }: Finding): boolean {
  return level === "fault";
}
