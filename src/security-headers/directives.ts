import { didYouMean, suggestion } from "../lib/config/did-you-mean.js";
import { urlOf } from "../lib/http/target.js";
import { words } from "../lib/values/words.js";

type Rule = (values: readonly string[]) => string | undefined;

/** The directives that browsers support, and the check of their values (CSP Level 3, section 6). */
const DIRECTIVES = {
  "base-uri": sources,
  "child-src": sources,
  "connect-src": sources,
  "default-src": sources,
  "fenced-frame-src": sources,
  "font-src": sources,
  "form-action": sources,
  "frame-ancestors": ancestors,
  "frame-src": sources,
  "img-src": sources,
  "manifest-src": sources,
  "media-src": sources,
  "object-src": sources,
  "report-uri": reportUris,
  "require-trusted-types-for": trustedTypesFor,
  sandbox: sandboxTokens,
  "script-src": sources,
  "script-src-attr": sources,
  "script-src-elem": sources,
  "style-src": sources,
  "style-src-attr": sources,
  "style-src-elem": sources,
  "trusted-types": trustedTypes,
  "upgrade-insecure-requests": noValues,
  webrtc: webrtc,
  "worker-src": sources,
} satisfies Record<string, Rule>;

export type DirectiveName = keyof typeof DIRECTIVES;

type Camel<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;

/**
 * The directives of a content security policy, each a list of values or one string. A name is written as in the
 * standard (`"script-src"`) or in camel case (`scriptSrc`); `null` removes a directive of the preset.
 */
export type ContentSecurityPolicyDirectives = {
  readonly [Name in DirectiveName | Camel<DirectiveName>]?: string | readonly string[] | null | undefined;
};

const directiveNames = Object.keys(DIRECTIVES) as DirectiveName[];

/** Converts `scriptSrc` to `script-src`. */
export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}

export function isDirective(name: string): name is DirectiveName {
  return Object.hasOwn(DIRECTIVES, name);
}

/** Directives that browsers no longer support or that are an option here, and what to write instead. */
const REPLACED: Readonly<Record<string, string>> = {
  "block-all-mixed-content": "browsers have dropped it; leave it out: upgrade-insecure-requests replaces it",
  "navigate-to": "browsers have never supported it; leave it out",
  "plugin-types": "browsers have dropped it; write objectSrc: [\"'none'\"]",
  "prefetch-src": "browsers have dropped it; leave it out: default-src replaces it",
  referrer: "browsers have dropped it; use the option referrerPolicy",
  "reflected-xss": "browsers have dropped it; leave it out",
  "report-to": "use the option contentSecurityPolicy.reportTo, which sends report-uri too",
  "require-sri-for": "browsers have dropped it; leave it out",
};

/** Why the directive is refused, with a suggestion. */
export function unknownDirective(name: string): string {
  const replaced = REPLACED[name];
  if (replaced !== undefined) return replaced;
  return `unknown directive. ${suggestion(name, directiveNames, `The directives are ${directiveNames.join(", ")}.`)}`;
}

/** The problem of a directive's values, or undefined. */
export function directiveProblem(name: DirectiveName, values: readonly string[]): string | undefined {
  return DIRECTIVES[name](values);
}

function sources(values: readonly string[]): string | undefined {
  if (values.length === 0)
    return "has an empty list; write [\"'none'\"] to allow nothing, or null to leave it out";
  if (values.length > 1 && values.includes("'none'"))
    return "has 'none' with other values; 'none' must stand alone";
  return firstProblem(values, sourceProblem);
}

/** Pages that may frame this one: an origin, a scheme, 'self' or 'none' (section 6.4.2). */
function ancestors(values: readonly string[]): string | undefined {
  return sources(values) ?? firstProblem(values, ancestorProblem);
}

function ancestorProblem(value: string): string | undefined {
  return value.startsWith("'") && value !== "'self'" && value !== "'none'"
    ? `has ${value}, which has no meaning for frames; write 'self', 'none', or an origin`
    : undefined;
}

function reportUris(values: readonly string[]): string | undefined {
  if (values.length === 0) return 'has no address; write one such as "/csp-reports"';
  return firstProblem(values, (value) =>
    urlOf(value, "https://site.example") !== undefined
      ? undefined
      : `has ${value}, which is not an address; write one such as "/csp-reports"`,
  );
}

function trustedTypesFor(values: readonly string[]): string | undefined {
  return values.length === 1 && values[0] === "'script'" ? undefined : "must be [\"'script'\"]";
}

/** Trusted Types, section 3.2: names of policies, or one of three keywords. */
function trustedTypes(values: readonly string[]): string | undefined {
  if (values.length > 1 && values.includes("'none'"))
    return "has 'none' with other values; 'none' must stand alone";
  return firstProblem(values, (value) =>
    /^(?:[\w\-#=/@.%]+|\*|'none'|'allow-duplicates')$/.test(value) &&
    !/^(?:none|allow-duplicates)$/.test(value)
      ? undefined
      : `has ${value}, which is not the name of a policy; the keywords are 'none', 'allow-duplicates' (in single quotes) and *`,
  );
}

const SANDBOX_TOKENS = words(
  "allow-downloads allow-forms allow-modals allow-orientation-lock allow-pointer-lock allow-popups",
  "allow-popups-to-escape-sandbox allow-presentation allow-same-origin allow-scripts",
  "allow-storage-access-by-user-activation allow-top-navigation allow-top-navigation-by-user-activation",
  "allow-top-navigation-to-custom-protocols",
);

function sandboxTokens(values: readonly string[]): string | undefined {
  return firstProblem(values, (value) => {
    if (SANDBOX_TOKENS.includes(value)) return undefined;
    const remedy = suggestion(value, SANDBOX_TOKENS, `The words are ${SANDBOX_TOKENS.join(", ")}.`);
    return `has ${value}, which a sandbox does not know. ${remedy}`;
  });
}

function webrtc(values: readonly string[]): string | undefined {
  const known = values.length === 1 && (values[0] === "'allow'" || values[0] === "'block'");
  return known ? undefined : "must be [\"'allow'\"] or [\"'block'\"]";
}

function noValues(values: readonly string[]): string | undefined {
  return values.length === 0 ? undefined : "takes no values; write [] to have it, or null to leave it out";
}

function firstProblem(
  values: readonly string[],
  problem: (value: string) => string | undefined,
): string | undefined {
  for (const value of values) {
    const found = problem(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** CSP Level 3, section 2.3.1: the keywords, which are written in single quotes. */
const KEYWORDS = words(
  "self none unsafe-inline unsafe-eval wasm-unsafe-eval strict-dynamic unsafe-hashes report-sample report-sha256",
  "report-sha384 report-sha512 inline-speculation-rules trusted-types-eval unsafe-webtransport-hashes",
);
const HASH = /^'sha(?:256|384|512)-[A-Za-z0-9+/_-]+={0,2}'$/;
const SCHEME = /^[a-z][a-z0-9+.-]*:$/i;
const SCHEMES_LIKELY = new Set(["https", "http", "data", "blob", "ws", "wss", "mediastream", "filesystem"]);
const HOST =
  /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)(?::(?:[0-9]{1,5}|\*))?(?:\/[^\s?#;,'"\\<>]*)?$/i;

/** The problem of a source expression, or undefined. */
function sourceProblem(source: string): string | undefined {
  if (source.startsWith("'") || source.endsWith("'")) return quotedProblem(source);
  const lower = source.toLowerCase();
  if (KEYWORDS.includes(lower) || /^(?:nonce|sha256|sha384|sha512)-/.test(lower)) {
    return `has ${source} without its single quotes; write "'${source}'"`;
  }
  if (SCHEMES_LIKELY.has(lower)) return `has ${source}, which is taken for a host; write "${source}:"`;
  if (SCHEME.test(source) || HOST.test(source)) return undefined;
  return `has ${JSON.stringify(source)}, which is not a source; write an origin such as https://cdn.example, a scheme such as https:, or a keyword in single quotes such as 'self'`;
}

function quotedProblem(source: string): string | undefined {
  if (HASH.test(source)) return undefined;
  const word = source.replace(/^'|'$/g, "");
  if (KEYWORDS.includes(word) && source === `'${word}'`) return undefined;
  if (/^nonce-/i.test(word)) {
    return `has a nonce that would be the same for every response, which protects nothing; use contentSecurityPolicy.nonce: true`;
  }
  const similar = didYouMean(word, KEYWORDS);
  const question = similar === undefined ? "" : ` Did you mean "'${similar}'"?`;
  return `has ${JSON.stringify(source)}, which is not a keyword of policies.${question}`;
}

/** Whether the source is the hash of an inline script or style. */
export function isHash(source: string): boolean {
  return HASH.test(source);
}
