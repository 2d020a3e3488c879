import type { Finding } from "../types.js";
import { comesBy, covers, finding, isConcern, labelOf, type Step } from "../walk.js";
import { PUBLIC_SUFFIXES } from "./public-suffixes.js";

/** Preflights come without credentials, and a page can read an answer only if CORS headers are on it. */
export function corsPlace(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  for (const step of steps) {
    if (!isConcern(step, "cors") || step.route !== undefined) continue;
    if (steps.some((other) => other.order < step.order && isCorsFor(other, step))) continue;
    const before = steps.filter((other) => comesBy(step, other));
    const cors = labelOf(step.node);
    const auth = before.find((other) => isConcern(other, "auth") && !other.node.facts?.passesPreflights);
    const parser = before.find((other) => isConcern(other, "bodyParser"));
    if (auth !== undefined) {
      findings.push(
        finding("cors-after-auth", "fault", step, {
          what: `${cors} is after ${labelOf(auth.node)}`,
          happens: "browsers' preflights never reach it",
          fix: `move it up, above ${labelOf(auth.node)}`,
          why: "A preflight has no credentials: the auth check refuses it, and the browser never sends the request itself. Nor can a page read a refusal that has no CORS headers.",
        }),
      );
    }
    if (parser !== undefined) {
      findings.push(
        finding("cors-after-body-parser", "fault", step, {
          what: `${cors} is after ${labelOf(parser.node)}`,
          happens: "what the parser refuses has no CORS headers, and pages of other origins cannot read why",
          fix: `move it up, above ${labelOf(parser.node)}`,
          why: "A body that does not parse, or is too large, is answered before the CORS headers are set: the page sees a failed fetch instead of the 400 or 413.",
        }),
      );
    }
  }
  return findings;
}

/** One that has answered the preflights of this one's path already. */
function isCorsFor(other: Step, step: Step): boolean {
  if (!isConcern(other, "cors") || !covers((other.route ?? other.node).path, step.node.path)) return false;
  const methods = other.route?.methods;
  return methods === undefined || methods.includes("OPTIONS") || methods.includes("ALL");
}

/** Credentials for origins that strangers can have. */
export function corsOrigins(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  for (const step of steps) {
    const { facts } = step.node;
    if (!isConcern(step, "cors") || facts?.credentials !== true) continue;
    const cors = labelOf(step.node);
    const allows = facts.allows as ((origin: string) => boolean) | undefined;
    if (facts.reflects === true || (allows !== undefined && isAllowed(allows, "stranger-zq9.example"))) {
      findings.push(
        finding("cors-reflects-credentials", "fault", step, {
          what: `${cors} allows every origin, with credentials`,
          happens: "any site can read what its visitors may see here",
          fix: "list the origins",
          why: "The browser sends the visitor's cookies along, and the reflected origin lets the other site's page read the answer. Browsers forbid this for *; reflecting the origin gets around it.",
        }),
      );
      continue;
    }
    const suffix = allows && PUBLIC_SUFFIXES.find((one) => isAllowed(allows, `stranger-zq9.${one}`));
    if (suffix !== undefined) {
      findings.push(
        finding("cors-public-suffix", "fault", step, {
          what: `${cors} allows every site under ${suffix}, with credentials`,
          happens: `anybody can have a name under ${suffix}, and read what its visitors may see here`,
          fix: "name the sites that are yours",
          why: `${suffix} is a public suffix (publicsuffix.org): the names below it belong to different people.`,
        }),
      );
    }
  }
  return findings;
}

function isAllowed(allows: (origin: string) => boolean, host: string): boolean {
  try {
    return allows(`https://${host}`);
  } catch {
    return false;
  }
}
