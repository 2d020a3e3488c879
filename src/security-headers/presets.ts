import type { DirectiveName } from "./directives.js";

export type PresetName = "common" | "page" | "api" | "helmet";

/** Where the nonce is used: for scripts, for styles, or for both (`true`). */
export type NonceUse = boolean | "script" | "style";

/** Values of the headers that no option names; undefined if the header is not sent. */
export interface Preset {
  readonly directives: Partial<Record<DirectiveName, readonly string[]>>;
  /** Between directives. */
  readonly separator: "; " | ";";
  readonly nonce: NonceUse;
  /** `0` turns off the obsolete XSS filter of old browsers, which is itself a security hole. */
  readonly xssProtection: string | undefined;
  readonly referrerPolicy: string;
  readonly frameOptions: "deny" | "SAMEORIGIN";
  /** Whether `Strict-Transport-Security` and `upgrade-insecure-requests` are sent over TLS only. */
  readonly tlsOnly: boolean;
  readonly crossOriginOpenerPolicy: string | undefined;
  readonly crossOriginResourcePolicy: string | undefined;
  readonly crossOriginEmbedderPolicy: string | undefined;
  readonly permissionsPolicy: Readonly<Record<string, readonly string[]>> | undefined;
  readonly originAgentCluster: boolean;
  readonly cacheControl: "no-store" | undefined;
  /** Headers for obsolete browsers and plug-ins; they have no options. */
  readonly legacy: Partial<Record<LegacyHeader, string>>;
}

export const LEGACY_HEADERS = [
  "X-DNS-Prefetch-Control",
  "X-Download-Options",
  "X-Permitted-Cross-Domain-Policies",
] as const;
type LegacyHeader = (typeof LEGACY_HEADERS)[number];

const common: Preset = {
  directives: {
    "default-src": ["'self'"],
    "base-uri": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "object-src": ["'none'"],
    "upgrade-insecure-requests": [],
  },
  separator: "; ",
  nonce: false,
  xssProtection: "0",
  referrerPolicy: "origin-when-cross-origin",
  frameOptions: "deny",
  tlsOnly: true,
  crossOriginOpenerPolicy: "same-origin",
  crossOriginResourcePolicy: "same-origin",
  crossOriginEmbedderPolicy: undefined,
  permissionsPolicy: undefined,
  originAgentCluster: false,
  cacheControl: undefined,
  legacy: {},
};

/** For HTML: only scripts with the nonce run, and scripts that they load. */
const page: Preset = {
  ...common,
  directives: {
    "default-src": ["'none'"],
    "script-src": ["'strict-dynamic'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "font-src": ["'self'"],
    "media-src": ["'self'"],
    "connect-src": ["'self'"],
    "manifest-src": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "upgrade-insecure-requests": [],
  },
  nonce: true,
  xssProtection: undefined,
  referrerPolicy: "strict-origin-when-cross-origin",
  permissionsPolicy: {
    camera: [],
    "display-capture": [],
    geolocation: [],
    microphone: [],
    payment: [],
    usb: [],
  },
  originAgentCluster: true,
};

/** For responses that are not documents: if a browser shows one as a page, nothing in it runs or loads. */
const api: Preset = {
  ...common,
  directives: {
    "default-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'none'"],
  },
  xssProtection: undefined,
  referrerPolicy: "no-referrer",
  crossOriginOpenerPolicy: undefined,
  cacheControl: "no-store",
};

/** Exactly what `helmet()` sends. */
const helmet: Preset = {
  ...common,
  directives: {
    "default-src": ["'self'"],
    "base-uri": ["'self'"],
    "font-src": ["'self'", "https:", "data:"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'self'"],
    "img-src": ["'self'", "data:"],
    "object-src": ["'none'"],
    "script-src": ["'self'"],
    "script-src-attr": ["'none'"],
    "style-src": ["'self'", "https:", "'unsafe-inline'"],
    "upgrade-insecure-requests": [],
  },
  separator: ";",
  referrerPolicy: "no-referrer",
  frameOptions: "SAMEORIGIN",
  tlsOnly: false,
  originAgentCluster: true,
  legacy: {
    "X-DNS-Prefetch-Control": "off",
    "X-Download-Options": "noopen",
    "X-Permitted-Cross-Domain-Policies": "none",
  },
};

export const PRESET_NAMES = ["common", "page", "api", "helmet"] as const satisfies PresetName[];
export const presets: Readonly<Record<PresetName, Preset>> = { common, page, api, helmet };
