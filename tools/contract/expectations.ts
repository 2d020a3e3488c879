/** Header names and values to send. */
export type HeaderBag = Readonly<Record<string, string>>;

/**
 * Headers that stand for a user: as they are, a promise of them, or a function that makes them, which is called for each
 * case, with the URL at which the app listens then.
 */
export type Credentials =
  | HeaderBag
  | PromiseLike<HeaderBag>
  | ((url: string) => HeaderBag | PromiseLike<HeaderBag>);

export interface CorsExpectations {
  /** The origin whose pages may call the app: `https://app.example`. */
  readonly allowed: string;
  /** An origin whose pages may not. Without one it is taken that every origin may. */
  readonly refused?: string | undefined;
  /** The methods that a preflight must grant; by default GET. */
  readonly methods?: readonly string[] | undefined;
  /** The request headers that a preflight must grant; by default none is asked for. */
  readonly headers?: readonly string[] | undefined;
  /** The answer's headers that a page must be able to read. */
  readonly exposed?: readonly string[] | undefined;
  /** The pages send cookies or other credentials along. False by default. */
  readonly credentials?: boolean | undefined;
}

export interface Routes {
  /** Answers a GET with a 2xx, to everybody. */
  readonly ok?: string | undefined;
  /** Fails before it answers. */
  readonly failing?: string | { readonly path: string; readonly status?: number | undefined } | undefined;
  /** Fails when the head and a part of the body have gone out. */
  readonly failingLate?: string | undefined;
  /** Answers a 401 without credentials; with those in `as` a 2xx. */
  readonly protected?: string | { readonly path: string; readonly as?: Credentials | undefined } | undefined;
  /** Takes longer than the app allows. */
  readonly slow?:
    | string
    | {
        readonly path: string;
        /** What the app answers in its place: 503 by default. */
        readonly status?: number | undefined;
        /** The latest that the answer may come. By default `timeoutMs`. */
        readonly withinMs?: number | undefined;
        /** When the handler writes in the end, counted from the request. Without it nobody waits for that. */
        readonly endsMs?: number | undefined;
      }
    | undefined;
  /** Refuses an upload, or fails, without reading it. */
  readonly upload?:
    | string
    | {
        readonly path: string;
        /** POST by default. */
        readonly method?: string | undefined;
        readonly headers?: Credentials | undefined;
        /** How long the upload says to be: 10,000,000 by default. */
        readonly bytes?: number | undefined;
        /** What it is refused with: 413 by default. */
        readonly status?: number | undefined;
      }
    | undefined;
  /** Answers a GET with something else for each user: two of them, by the headers that they send. */
  readonly personal?: { readonly path: string; readonly as: readonly [Credentials, Credentials] } | undefined;
}

export interface LogExpectations {
  /** All lines (or records) that the request log has written so far. */
  readonly lines: () => readonly unknown[] | Promise<readonly unknown[]>;
}

/** A header's exact value, what it must match, or `false` if it must be absent. */
export type HeaderExpectation = string | RegExp | false;

/** What an app promises; there are cases for what is named here, and some that hold for every app. */
export interface Expectations {
  readonly cors?: CorsExpectations | undefined;
  readonly routes?: Routes | undefined;
  /**
   * The headers of every answer: `true` for those that every API does well to have, a list of names, or a record of
   * names and what stands in them.
   */
  readonly securityHeaders?:
    | true
    | readonly string[]
    | Readonly<Record<string, HeaderExpectation>>
    | undefined;
  /** Texts that no error may show: the message of the error that `failing` throws, a table's name. */
  readonly secrets?: readonly string[] | undefined;
  readonly log?: LogExpectations | undefined;
  /**
   * How long an answer may take before a case gives up, in milliseconds: 10,000 by default. It is patience, and no promise
   * of the app: how quick an answer must be is said by `slow.withinMs`.
   */
  readonly timeoutMs?: number | undefined;
  /** For a URL with https: the certificate authority to trust, or the self-signed certificate itself (PEM). */
  readonly ca?: string | undefined;
}
