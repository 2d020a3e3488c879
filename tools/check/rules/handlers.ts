import {
  areInOneList,
  covers,
  type Finding,
  finding,
  isAlwaysAfter,
  isConcern,
  labelOf,
  type PipelineNode,
  type Step,
} from "../pipeline.js";

/** A factory that was mounted in place of the handler that it makes. */
export function notCalled(steps: readonly Step[]): Finding[] {
  return steps
    .filter(({ node }) => node.details?.notCalled !== undefined)
    .map((step) => {
      const call = String(step.node.details?.notCalled);
      return finding("not-called", "fault", step, {
        what: `${call} is not called`,
        happens: "Express passes it the request as options, and no request gets past it",
        fix: `write ${call}(), with its options, in place of ${call}`,
        why: "Express needs the handler (req, res, next). This function makes one, but is not one.",
      });
    });
}

/** Express 4 ignores the promise that a handler returns. */
export function asyncOnExpress4(steps: readonly Step[], app: PipelineNode): Finding[] {
  const rejecting = steps.filter(
    ({ node, ancestors }) =>
      node.details?.mayReject === true &&
      node.package === undefined &&
      [app, ...ancestors].findLast(({ kind }) => kind === "app")?.details?.express === 4,
  );
  const first = rejecting[0];
  if (first === undefined || app.details?.served === true) return [];
  const others = rejecting.length - 1;
  return [
    finding("async-handler-on-express-4", "advice", first, {
      what: `${labelOf(first.node)} is async${others === 0 ? "" : `, as are ${others} other handlers`}, and this is Express 4`,
      happens: "when it rejects there is no answer, and Node ends the process",
      fix: "start the app with serve(), which makes it an error of its request, or move to Express 5",
      why: "Express 4 ignores the promise that a handler returns: nothing handles its rejection, unless each handler catches it.",
    }),
  ];
}

/** A rate limit by an address that every client can choose. */
export function trustsEveryClient(steps: readonly Step[], app: PipelineNode): Finding[] {
  if (app.details?.trustProxy !== "all") return [];
  const limit = steps.find((step) => isConcern(step, "rateLimit"));
  if (limit === undefined) return [];
  return [
    finding("trust-proxy-all", "fault", limit, {
      what: `${labelOf(limit.node)} counts by req.ip, and "trust proxy" is true`,
      happens: "a client that sends another X-Forwarded-For each time is never limited",
      fix: 'set "trust proxy" to the number of proxies',
      why: "With true the address is the first entry of X-Forwarded-For, which the client writes itself.",
    }),
  ];
}

/** A second one of these at the same place does nothing, or replaces the first. */
const HAPPENS: Readonly<Record<string, string>> = {
  cors: "the later one replaces what the earlier one has set",
  securityHeaders: "the later one replaces what the earlier one has set",
  context: "the second one does nothing",
  compress: "the second one has nothing to compress",
  session: "the second one does nothing",
  log: "every request is logged twice",
  notFound: "the second one is never reached",
  recover: "the second one gets no error",
};

export function sameTwice(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  const seen: Step[] = [];
  for (const step of steps) {
    const concern = step.node.concern ?? "";
    if (!(concern in HAPPENS) || step.route !== undefined || step.isConditional) continue;
    // A second log with options writes elsewhere, and second headers add to the first.
    const isPlain = step.node.details?.plain === true;
    if (concern === "log" && !isPlain) continue;
    if (step.node.details?.composed !== undefined) continue; // each wraps its own handler
    const first = seen.find(
      (other) =>
        isConcern(other, concern) &&
        other.node.path === step.node.path &&
        isAlwaysAfter(step, other) &&
        areInOneList(step, other) &&
        // Helmet beside ours has its own rule.
        (concern !== "securityHeaders" || other.node.package === step.node.package),
    );
    if (first === undefined || (concern === "securityHeaders" && !isPlain)) {
      seen.push(step);
      continue;
    }
    findings.push(
      finding("twice", "advice", step, {
        what:
          labelOf(first.node) === labelOf(step.node)
            ? `${labelOf(step.node)} is there twice`
            : `${labelOf(step.node)} and ${labelOf(first.node)} do the same`,
        happens: HAPPENS[concern]!,
        fix: "remove one of them",
        why: `Both are at ${step.node.path}, and every request passes both (the first is ${first.node.index}).`,
      }),
    );
  }
  return findings;
}

export function helmetBeside(steps: readonly Step[]): Finding[] {
  const all = steps.filter((step) => isConcern(step, "securityHeaders"));
  const ours = all.find(({ node }) => node.package === "express-portico");
  const helmet = all.find(
    ({ node }) =>
      node.package === "helmet" &&
      ours !== undefined &&
      (covers(node.path, ours.node.path) || covers(ours.node.path, node.path)),
  );
  if (ours === undefined || helmet === undefined) return [];
  return [
    finding("helmet-beside", "advice", helmet, {
      what: `helmet is used beside ${labelOf(ours.node)}`,
      happens: "both set the same headers, and the options do not show which of them counts",
      fix: "remove helmet, and give its options to securityHeaders()",
      why: "securityHeaders checks its values with helmet itself, and sets them when the head is written.",
    }),
  ];
}

/** A handler that reads a header of proxies by hand trusts every client. */
export function proxyHeaders(steps: readonly Step[], app: PipelineNode): Finding[] {
  if (app.details?.trustProxy !== "unset") return [];
  const reading = steps.find(
    ({ node, ancestors }) =>
      node.details?.readsHeader !== undefined &&
      // A mounted app can have its own setting.
      ancestors.every((one) => one.kind !== "app" || one.details?.trustProxy === "unset"),
  );
  if (reading === undefined) return [];
  return [
    finding("trust-proxy-unset", "advice", reading, {
      what: `${labelOf(reading.node)} reads ${String(reading.node.details?.readsHeader)}, and "trust proxy" is not set`,
      happens: "every client can send any value",
      fix: 'set "trust proxy" to the number of proxies, and read req.ip, req.protocol and req.hostname',
      why: "Only the entries that your own proxies have added are true. Express ignores the others if it knows how many proxies there are.",
    }),
  ];
}
