import { type Finding, type PipelineNode, type Step, stepsOf } from "../pipeline.js";
import {
  afterRoutes,
  logFirst,
  notFoundLast,
  parserBeforeRateLimit,
  sessionBeforeStatic,
} from "./before-and-after.js";
import { bodyLimits } from "./body-limit.js";
import { corsOrigins, corsPlace, corsWithoutOptions } from "./cors.js";
import { allowedHostsForwarded, methodOverrides, withoutAllowedHosts, withoutCsrf } from "./edge.js";
import { errorHandlerParameters, errorHandlers, recoverLast } from "./errors.js";
import {
  asyncOnExpress4,
  helmetBeside,
  notCalled,
  proxyHeaders,
  sameTwice,
  trustsEveryClient,
} from "./handlers.js";
import { healthPlace, livenessShed } from "./health.js";
import { rowOrder } from "./order.js";

type Rule = (steps: readonly Step[], app: PipelineNode) => Finding[];

const RULES: readonly Rule[] = [
  notCalled,
  corsPlace,
  corsOrigins,
  corsWithoutOptions,
  logFirst,
  rowOrder,
  parserBeforeRateLimit,
  bodyLimits,
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
  methodOverrides,
  withoutCsrf,
  withoutAllowedHosts,
  healthPlace,
  livenessShed,
  allowedHostsForwarded,
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
