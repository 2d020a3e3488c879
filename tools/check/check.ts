import { parserBeforeRateLimit, proxyHeaders, sessionBeforeStatic } from "./rules/before.js";
import { corsOrigins, corsPlace, corsWithoutOptions } from "./rules/cors.js";
import { errorHandlerParameters, errorHandlers } from "./rules/errors.js";
import { asyncOnExpress4, notCalled, recoverLast, trustsEveryClient } from "./rules/handlers.js";
import { logFirst } from "./rules/log.js";
import { rowOrder } from "./rules/order.js";
import { afterRoutes, notFoundLast } from "./rules/routes.js";
import { helmetBeside, sameTwice } from "./rules/twice.js";
import type { Finding, PipelineNode } from "./types.js";
import { type Step, stepsOf } from "./walk.js";

type Rule = (steps: readonly Step[], app: PipelineNode) => Finding[];

const RULES: readonly Rule[] = [
  notCalled,
  corsPlace,
  corsOrigins,
  corsWithoutOptions,
  logFirst,
  rowOrder,
  parserBeforeRateLimit,
  afterRoutes,
  notFoundLast,
  errorHandlerParameters,
  errorHandlers,
  recoverLast,
  sessionBeforeStatic,
  proxyHeaders,
  trustsEveryClient,
  asyncOnExpress4,
  sameTwice,
  helmetBeside,
];

/** The findings of all rules for a pipeline that has been read, faults first. */
export function checkNodes(app: PipelineNode): Finding[] {
  const steps = stepsOf(app);
  const findings = RULES.flatMap((rule) => rule(steps, app));
  return [...findings.filter(isFault), ...findings.filter((one) => !isFault(one))];
}

export function isFault({ level }: Finding): boolean {
  return level === "fault";
}
