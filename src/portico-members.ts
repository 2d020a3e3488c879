import { type AllowedHostsOptions, allowedHosts } from "./allowed-hosts/index.js";
import { when } from "./chain/index.js";
import { type CspReportsOptions, cspReports } from "./csp-reports/index.js";
import { isBag } from "./lib/config/checker.js";
import { ConfigError, type ProblemInput } from "./lib/config/config-error.js";
import type { Handler } from "./lib/express/handler.js";
import type { PorticoOptions } from "./portico-options.js";

/** The member `allowedHosts` is the list, or an object that has it. */
export function makeAllowedHosts(given: NonNullable<PorticoOptions["allowedHosts"]>): Handler {
  if (!isBag(given)) return allowedHosts(given as string | string[]);
  const { hosts, ...options } = given as unknown as AllowedHostsOptions & { readonly hosts: string[] };
  return allowedHosts(hosts, options);
}

/** A path without characters that are, or look like, a pattern of Express. */
const PLAIN_PATH = /^(?:\/[\w.~%-]+)+\/?$/;

/** `cspReports` answers every request that it gets, so the member has the path of its requests. */
export function makeCspReports(given: unknown): Handler {
  if (!isBag(given)) return cspReports(given as CspReportsOptions);
  const { path, ...options } = given;
  const problems: ProblemInput[] = [];
  if (path === undefined) {
    const reason = 'is required: the path that browsers report to, as "/csp-reports"';
    problems.push({ option: "path", value: path, reason, code: "ERR_PORTICO_MISSING_OPTION" });
  } else if (typeof path !== "string" || !PLAIN_PATH.test(path)) {
    const reason = 'must be a path without a pattern or a query, as "/csp-reports"';
    problems.push({ option: "path", value: path, reason });
  }
  const receiver = collect(problems, () => cspReports(options as CspReportsOptions));
  if (receiver === undefined || problems.length > 0) throw new ConfigError("cspReports()", problems);
  const own = plainPath(path as string);
  return when((req) => plainPath(req.path) === own, receiver);
}

/** Express compares the paths of routes without case, and with or without a last slash. */
function plainPath(path: string): string {
  return path.replace(/\/$/, "").toLowerCase();
}

/** What `make` returns; the problems that it throws are added to the others. */
export function collect<T>(problems: ProblemInput[], make: () => T, member?: string): T | undefined {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const nameOf = (option: string) => (option === "options" ? member : `${member}.${option}`);
    for (const problem of error.problems) {
      problems.push(member === undefined ? problem : { ...problem, option: nameOf(problem.option)! });
    }
    return undefined;
  }
}

/**
 * The origins that `csrf` trusts, because `cors` allows their pages to read with cookies: only exact ones. Never patterns,
 * RegExps and functions, `null`, files, or `http:` beyond loopback. `cors` checks how they are written.
 */
export function trustedByCors(given: unknown): string[] {
  if (!isBag(given) || given.credentials !== true) return [];
  const list = typeof given.origin === "string" ? given.origin.split(",") : given.origin;
  if (!Array.isArray(list)) return [];
  const texts = list.flatMap((entry: unknown) => (typeof entry === "string" ? [entry.trim()] : []));
  return texts.filter((text) => /^[a-z][a-z\d+.-]*:\/\/[^*]+$/.test(text) && !INSECURE.test(text));
}

const INSECURE = /^http:\/\/(?!(?:[\w.-]+\.)?localhost(?::|$)|127(?:\.\d+){3}(?::|$)|\[::1\](?::|$))/;
