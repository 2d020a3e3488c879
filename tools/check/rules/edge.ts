import {
  type Finding,
  finding,
  isAlwaysAfter,
  isConcern,
  labelOf,
  mayCover,
  type Step,
} from "../pipeline.js";

/** `csrf` must see the method that the client sent, and nothing may change a method that it has let pass. */
export function methodOverrides(steps: readonly Step[], app: Step["node"]): Finding[] {
  const overrides = steps.filter(({ node }) => node.details?.overridesMethod === true);
  return steps
    .filter((step) => isOurCsrf(step))
    .flatMap((csrf) => overrides.flatMap((override) => overrideOf(csrf, override, steps, app)))
    .filter(({ at }, i, all) => all.findIndex((other) => other.at === at) === i);
}

function overrideOf(csrf: Step, override: Step, steps: readonly Step[], app: Step["node"]): Finding[] {
  const name = labelOf(override.node);
  if (isAlwaysAfter(override, csrf)) {
    return [
      finding("method-override-after-csrf", "advice", override, {
        what: `${name} is after csrf`,
        happens: "a GET that it turns into another method has passed csrf unchecked",
        fix: `move it up, above csrf and below requestContext`,
        why: "csrf lets every GET pass. The handler then sees a method that csrf has not checked.",
      }),
    ];
  }
  const knowsSent = steps.some((step) => isConcern(step, "context") && isAlwaysAfter(override, step));
  if (!isAlwaysAfter(csrf, override) || knowsSent || app.details?.served === true) return [];
  return [
    finding("method-override-before-csrf", "advice", override, {
      what: `${name} is before csrf, and no requestContext is above it`,
      happens: "csrf may see only the changed method, and let a POST pass that looks like a GET",
      fix: `mount requestContext above ${name}`,
      why: "requestContext keeps the method that the client sent, and csrf checks both.",
    }),
  ];
}

function isOurCsrf(step: Step): boolean {
  return isConcern(step, "csrf") && step.node.package === "express-portico";
}

const SAFE = new Set(["GET", "HEAD", "OPTIONS", "QUERY"]);
/** Middleware of other packages against forged requests, by the name of its function. */
const FORGERY = /csrf|xsrf|crossorigin|forgery/i;

/** Browsers add cookies and Basic credentials also to what pages of other sites make them send. */
export function withoutCsrf(steps: readonly Step[]): Finding[] {
  const ambient = steps.filter(
    (step) => isConcern(step, "session") || (isConcern(step, "auth") && step.node.details?.ambient === true),
  );
  if (ambient.length === 0) return [];
  const guards = steps.filter((step) => isConcern(step, "csrf") || FORGERY.test(step.node.name));
  for (const step of steps) {
    const { node } = step;
    if (node.kind !== "route" || node.methods?.every((method) => SAFE.has(method)) !== false) continue;
    const source = ambient.find((other) => isAlwaysAfter(step, other) || other.route === node);
    // One that may cover it counts: a condition, or a path that could not be read.
    const isGuarded = guards.some((guard) => guard.route === node || mayCover(guard.node.path, node.path));
    if (source === undefined || isGuarded) continue;
    const credentials = isConcern(source, "session") ? "the visitor's cookie" : "the visitor's credentials";
    return [
      finding("csrf-missing", "advice", step, {
        what: `${labelOf(node)} relies on ${labelOf(source.node)}, and no csrf is above it`,
        happens: `a page of any site can make a browser send it, with ${credentials}`,
        fix: "add csrf() above the body parsers",
        why: "The browser adds cookies and Basic credentials by itself, whichever page sends the request. SameSite cookies do not stop sibling domains.",
      }),
    ];
  }
  return [];
}

/** Middleware of other packages that checks the host, by the name of its function. */
const HOSTS = /host.{0,12}(?:valid|check|guard|allow)|(?:valid|check|guard|allow).{0,12}host/i;

/** Pages of any site can reach a server that is only for this machine, through a host name with its address. */
export function withoutAllowedHosts(steps: readonly Step[], app: Step["node"]): Finding[] {
  const isChecked = steps.some((step) => isConcern(step, "allowedHosts") || HOSTS.test(step.node.name));
  const routes = steps.filter(({ node }) => node.kind === "route");
  const mcp = routes.find(
    ({ node }) => /\/mcp\/?$/i.test(node.path) && !node.methods?.every((one) => SAFE.has(one)),
  );
  const first = mcp ?? (app.details?.loopback === true ? routes[0] : undefined);
  if (isChecked || first === undefined) return [];
  const reason = mcp === undefined ? "the server listens on loopback" : `${labelOf(mcp.node)} serves MCP`;
  return [
    finding("allowed-hosts-missing", "advice", first, {
      what: `${reason}, and no allowedHosts is above it`,
      happens: "a page of any site can call it, through a name of its own that leads to this machine",
      fix: 'add allowedHosts(["localhost", "127.0.0.1", "[::1]"])',
      why: "For the browser such a page has the same origin as the server (DNS rebinding). Only the Host header tells them apart.",
    }),
  ];
}

/** `localhost`, `.localhost` of a pattern, 127.0.0.0/8 and `[::1]`. */
const LOOPBACK = /^(?:(?:.*\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * If every peer is trusted, the host is what a client writes in X-Forwarded-Host. A page that reaches a server on this
 * machine through a name of its own has the server's origin for the browser, and may send that header.
 */
export function allowedHostsForwarded(steps: readonly Step[], app: Step["node"]): Finding[] {
  const allowed = steps.find((step) => isForThisMachine(step, app) && trustsAll(step));
  if (allowed === undefined) return [];
  return [
    finding("allowed-hosts-forwarded", "fault", allowed, {
      what: 'allowedHosts is for this machine, and "trust proxy" is true',
      happens:
        "a page of any site that reaches the server through a name of its own passes it, with an allowed name in X-Forwarded-Host",
      fix: 'leave "trust proxy" unset; a proxy on this machine can pass Host on unchanged',
      why: "With true, Express takes the host from every X-Forwarded-Host. A page may send that header to a server that the browser treats as the page's own (DNS rebinding).",
    }),
  ];
}

function isForThisMachine(step: Step, app: Step["node"]): boolean {
  if (!isConcern(step, "allowedHosts") || step.node.package !== "express-portico") return false;
  const { hosts } = step.node.details ?? {};
  const isLocal = Array.isArray(hosts) && hosts.every((host) => LOOPBACK.test(String(host)));
  return isLocal || app.details?.loopback === true;
}

/** A mounted app can have its own setting. */
function trustsAll({ ancestors }: Step): boolean {
  return ancestors.findLast(({ kind }) => kind === "app")?.details?.trustProxy === "all";
}
