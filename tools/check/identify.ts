import type { VariableReader } from "../../src/lib/express/app.js";
import { handlerInfo } from "../../src/lib/express/handler.js";
import { peek } from "../../src/lib/values/thrown.js";
import { detailsOfSource, isNotFound, parametersOf, sourceOf } from "./source.js";

export interface Identity {
  readonly concern?: string;
  readonly package?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** What a handler is, from its own description, from what is known of its package, or from its source. */
export function identify(handler: unknown, variables: VariableReader): Identity {
  const info = handlerInfo(handler);
  if (info !== undefined) {
    const { concern, ...details } = info;
    return { concern, package: "express-portico", details };
  }
  const ownName = peek(handler, "name");
  const name = typeof ownName === "string" ? ownName : "";
  const source = sourceOf(handler);
  const factory = uncalledFactory(handler, name, source);
  if (factory !== undefined) return { package: factory.package, details: { notCalled: factory.call } };
  for (const known of PACKAGES) {
    if (!known.name.test(name) || !known.isIt(handler, source)) continue;
    const { concern = known.concern, ...details } = known.details?.(handler, variables) ?? {};
    return { concern: concern as string, package: known.package, details };
  }
  const details = detailsOfSource(handler, source);
  const notFound = isNotFound(handler, source);
  return {
    ...(notFound !== undefined && { concern: "notFound" }),
    ...((details !== undefined || notFound !== undefined) && { details: { ...details, ...notFound } }),
  };
}

interface KnownPackage {
  readonly package: string;
  readonly concern: string;
  /** The function's name. Other functions may have it too, so `isIt` looks at more than the name. */
  readonly name: RegExp;
  readonly isIt: (handler: unknown, source: string) => boolean;
  /** Details read from its variables; a `concern` among them replaces the general one. */
  readonly details?: (handler: unknown, variables: VariableReader) => Record<string, unknown>;
}

const has = (pattern: RegExp) => (_handler: unknown, source: string) => pattern.test(source);

export const PACKAGES: readonly KnownPackage[] = [
  {
    package: "cors",
    concern: "cors",
    name: /^corsMiddleware$/,
    isIt: has(/optionsCallback/),
    details: corsDetails,
  },
  { package: "helmet", concern: "securityHeaders", name: /^helmetMiddleware$/, isIt: has(/middleware/i) },
  {
    package: "morgan",
    concern: "log",
    name: /^logger$/,
    isIt: has(/_startAt|_startTime/),
    details: morganDetails,
  },
  {
    package: "pino-http",
    concern: "log",
    name: /./,
    isIt: (handler, source) =>
      typeof peek(peek(handler, "logger"), "info") === "function" &&
      /loggingMiddleware|onResFinished/.test(source),
  },
  { package: "express-winston", concern: "log", name: /^/, isIt: has(/_routeWhitelists/) },
  { package: "compression", concern: "compress", name: /^compression$/, isIt: has(/nocompress|onHeaders/) },
  { package: "express-session", concern: "session", name: /^session$/, isIt: has(/sessionStore|storeReady/) },
  { package: "cookie-session", concern: "session", name: /^_cookieSession$/, isIt: has(/session/i) },
  {
    package: "passport",
    concern: "passport",
    name: /^initialize$/,
    isIt: has(/_sessionManager|isAuthenticated/),
  },
  {
    package: "passport",
    concern: "passport",
    name: /^authenticate$/,
    isIt: (_handler, source) => /\battempt\b/.test(source) && /\bfailures?\b/.test(source),
    details: passportDetails,
  },
  {
    package: "express-jwt",
    concern: "auth",
    name: /^middleware$/,
    isIt: (handler, source) => typeof peek(handler, "unless") === "function" && /getToken/.test(source),
    details: () => ({ passesAnnounced: true }), // it passes preflights that announce Authorization
  },
  {
    package: "express-rate-limit",
    concern: "rateLimit",
    name: /^/,
    isIt: (handler, source) =>
      typeof peek(handler, "resetKey") === "function" &&
      (typeof peek(handler, "getKey") === "function" || /keyGenerator/.test(source)), // before version 6
    details: rateLimitDetails,
  },
  {
    package: "body-parser",
    concern: "bodyParser",
    name: /^(?:json|urlencoded|raw|text)Parser$/,
    isIt: has(/\bread\w*\(\s*req,\s*res,\s*next,/),
  },
  {
    package: "method-override",
    concern: "methodOverride",
    name: /^methodOverride$/,
    isIt: has(/originalMethod/),
    details: () => ({ overridesMethod: true }),
  },
  { package: "multer", concern: "upload", name: /^multerMiddleware$/, isIt: has(/busboy|multipart/i) },
  { package: "serve-static", concern: "static", name: /^serveStatic$/, isIt: has(/fallthrough/) },
];

function corsDetails(handler: unknown, variables: VariableReader): Record<string, unknown> {
  const decide = variables.read(handler, ["optionsCallback"])?.optionsCallback;
  const held = variables.read(decide, ["o"]);
  if (held === undefined || !("o" in held)) return {}; // a function decides, or nothing can be read
  const origin = peek(held.o, "origin");
  const allows = allowing(origin);
  return {
    credentials: peek(held.o, "credentials") === true,
    ...(origin === true && { reflects: true }),
    ...(allows !== undefined && { allows }),
  };
}

/** How the package compares an origin with its option; undefined where a function decides. */
function allowing(origin: unknown): ((asked: string) => boolean) | undefined {
  if (origin === true) return () => true;
  const list = Array.isArray(origin) ? (origin.flat() as unknown[]) : [origin];
  if (list.some((one) => typeof one === "function")) return undefined;
  return (asked) =>
    list.some((one) =>
      Object.prototype.toString.call(one) === "[object RegExp]"
        ? new RegExp((one as RegExp).source, (one as RegExp).flags.replace(/[gy]/g, "")).test(asked)
        : one === asked,
    );
}

function morganDetails(handler: unknown, variables: VariableReader): Record<string, unknown> {
  const held = variables.read(handler, ["skip", "stream"]);
  // With a stream or a filter, a second log is there on purpose.
  return { plain: held !== undefined && held.skip === false && peek(held.stream, "fd") === 1 };
}

function passportDetails(handler: unknown, variables: VariableReader): Record<string, unknown> {
  const names = variables.read(handler, ["name"])?.name;
  if (!Array.isArray(names) || names.length === 0) return {};
  return names.includes("session") || names.includes("anonymous") ? {} : { concern: "auth" };
}

function rateLimitDetails(handler: unknown, variables: VariableReader): Record<string, unknown> {
  const old = variables.read(handler, ["options"])?.options;
  const inner = variables.read(handler, ["fn"])?.fn;
  const key = peek(old ?? variables.read(inner, ["config"])?.config, "keyGenerator");
  const text = typeof key === "function" ? Function.prototype.toString.call(key) : "";
  // A limit by user or by body must come after the middleware that reads these.
  return { keyed: text === "" || /\b(?:user|auth|session|body|contextOf)\b/.test(text) };
}

/**
 * Functions that make a handler: the package, the function's name and a part of its source, because other functions have
 * these names too; and how apps call it, if not by its name.
 */
const FACTORIES: readonly (readonly [from: string, name: RegExp, text: RegExp, call?: string])[] = [
  [
    "express-portico",
    /^(?:cors|requestLog|recover|securityHeaders|cspReports|authenticate|authorize|requireScopes|requestContext|timeout|compress|cache|notFound|csrf|allowedHosts|bodyLimit|health|loadShed|metrics)$/,
    /describeHandler|\blate \?\?=/, // as written, and as rollup.config.mjs makes it
  ],
  ["express-portico", /^portico$/, /["']context["']/],
  ["cors", /^middlewareWrapper$/, /corsMiddleware/, "cors"],
  ["helmet", /^helmet$/, /helmetMiddleware/],
  ["morgan", /^morgan$/, /getFormatFunction|\bimmediate\b/],
  ["compression", /^compression$/, /threshold/],
  ["pino-http", /^pinoLogger$/, /customAttributeKeys/, "pinoHttp"],
  ["express-session", /^session$/, /MemoryStore/],
  ["cookie-session", /^cookieSession$/, /\.keys required/],
  ["cookie-parser", /^cookieParser$/, /signedCookies/],
  ["express-rate-limit", /^[rR]ateLimit$/, /config|windowMs/, "rateLimit"],
  ["express-jwt", /./, /express-jwt: `secret` is a required/, "expressjwt"],
  ["method-override", /^methodOverride$/, /getter/],
  ["multer", /^multer$/, /new Multer\(/],
  ["connect-timeout", /^timeout$/, /onTimeout|delay/],
  ["body-parser", /^(?:json|urlencoded|raw|text)$/, /function (?:json|urlencoded|raw|text)Parser/],
];

/**
 * Recognises a factory that was mounted in place of the handler that it makes: `app.use(cors)`. Its parameters are options,
 * not a request.
 */
export function uncalledFactory(
  handler: unknown,
  name: string,
  source: string,
): { package: string; call: string } | undefined {
  if (source === "" || Number(peek(handler, "length")) > 2) return undefined;
  const known = FACTORIES.find(([, itsName, text]) => itsName.test(name) && text.test(source));
  if (known === undefined) return undefined;
  const [first = ""] = parametersOf(handler) ?? [];
  if (/^_*(?:req|request|err|error)$/i.test(first)) return undefined; // a handler of that name
  const [from, , , call = name] = known;
  return { package: from, call };
}
