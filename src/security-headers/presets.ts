import type { DirectiveName } from "./directives.js";

export type PresetName = "common" | "page" | "api" | "helmet";

/** Where the nonce stands: in scripts, in styles, or in both (`true`). */
export type NonceUse = boolean | "script" | "style";

/** What a header option stands for where it is not given; undefined: the header is not sent. */
export interface Preset {
  readonly directives: Partial<Record<DirectiveName, readonly string[]>>;
  /** Stands between directives. */
  readonly separator: "; " | ";";
  readonly nonce: NonceUse;
  /** The obsolete filter of old browsers, which is itself a hole, is switched off. */
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
  /** Headers for browsers and plug-ins that are gone, which no option names. */
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

/** For HTML: nothing runs but what carries the nonce, and what such a script loads itself. */
const page: Preset = {
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
  separator: "; ",
  nonce: true,
  xssProtection: undefined,
  referrerPolicy: "strict-origin-when-cross-origin",
  frameOptions: "deny",
  tlsOnly: true,
  crossOriginOpenerPolicy: "same-origin",
  crossOriginResourcePolicy: "same-origin",
  crossOriginEmbedderPolicy: undefined,
  permissionsPolicy: {
    camera: [],
    "display-capture": [],
    geolocation: [],
    microphone: [],
    payment: [],
    usb: [],
  },
  originAgentCluster: true,
  cacheControl: undefined,
  legacy: {},
};

/** For answers that are no documents: if a browser shows one as a page all the same, nothing works in it. */
const api: Preset = {
  directives: {
    "default-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'none'"],
  },
  separator: "; ",
  nonce: false,
  xssProtection: undefined,
  referrerPolicy: "no-referrer",
  frameOptions: "deny",
  tlsOnly: true,
  crossOriginOpenerPolicy: undefined,
  crossOriginResourcePolicy: "same-origin",
  crossOriginEmbedderPolicy: undefined,
  permissionsPolicy: undefined,
  originAgentCluster: false,
  cacheControl: "no-store",
  legacy: {},
};

/** What `helmet()` sends, value for value: for pages that live with it today. */
const helmet: Preset = {
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
  nonce: false,
  xssProtection: "0",
  referrerPolicy: "no-referrer",
  frameOptions: "SAMEORIGIN",
  tlsOnly: false,
  crossOriginOpenerPolicy: "same-origin",
  crossOriginResourcePolicy: "same-origin",
  crossOriginEmbedderPolicy: undefined,
  permissionsPolicy: undefined,
  originAgentCluster: true,
  cacheControl: undefined,
  legacy: {
    "X-DNS-Prefetch-Control": "off",
    "X-Download-Options": "noopen",
    "X-Permitted-Cross-Domain-Policies": "none",
  },
};

export const PRESET_NAMES = ["common", "page", "api", "helmet"] as const satisfies PresetName[];
export const presets: Readonly<Record<PresetName, Preset>> = { common, page, api, helmet };
