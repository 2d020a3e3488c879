import type { DirectiveName } from "./directives.js";

export type PresetName = "common" | "page" | "api";

/** What a header option stands for where it is not given; undefined: the header is not sent. */
export interface Preset {
  readonly directives: Partial<Record<DirectiveName, readonly string[]>>;
  readonly nonce: boolean;
  /** The obsolete filter of old browsers, which is itself a hole, is switched off. */
  readonly xssProtection: string | undefined;
  readonly referrerPolicy: string;
  readonly frameOptions: "deny" | "sameorigin";
  readonly crossOriginOpenerPolicy: string | undefined;
  readonly crossOriginResourcePolicy: string | undefined;
  readonly crossOriginEmbedderPolicy: string | undefined;
  readonly permissionsPolicy: Readonly<Record<string, readonly string[]>> | undefined;
  readonly originAgentCluster: boolean;
  readonly cacheControl: "no-store" | undefined;
}

const common: Preset = {
  directives: {
    "default-src": ["'self'"],
    "base-uri": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "object-src": ["'none'"],
    "upgrade-insecure-requests": [],
  },
  nonce: false,
  xssProtection: "0",
  referrerPolicy: "origin-when-cross-origin",
  frameOptions: "deny",
  crossOriginOpenerPolicy: "same-origin",
  crossOriginResourcePolicy: "same-origin",
  crossOriginEmbedderPolicy: undefined,
  permissionsPolicy: undefined,
  originAgentCluster: false,
  cacheControl: undefined,
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
  nonce: true,
  xssProtection: undefined,
  referrerPolicy: "strict-origin-when-cross-origin",
  frameOptions: "deny",
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
};

/** For answers that are no documents: if a browser shows one as a page all the same, nothing works in it. */
const api: Preset = {
  directives: {
    "default-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'none'"],
  },
  nonce: false,
  xssProtection: undefined,
  referrerPolicy: "no-referrer",
  frameOptions: "deny",
  crossOriginOpenerPolicy: undefined,
  crossOriginResourcePolicy: "same-origin",
  crossOriginEmbedderPolicy: undefined,
  permissionsPolicy: undefined,
  originAgentCluster: false,
  cacheControl: "no-store",
};

export const presets: Readonly<Record<PresetName, Preset>> = { common, page, api };
