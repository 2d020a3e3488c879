/** Header names and values to send. */
export type HeaderBag = Readonly<Record<string, string>>;

/**
 * Headers that identify a user: an object, a promise of one, or a function that makes one. The function is called for each
 * case, with the URL of the app.
 */
export type Credentials =
  | HeaderBag
  | PromiseLike<HeaderBag>
  | ((url: string) => HeaderBag | PromiseLike<HeaderBag>);

export interface CorsExpectations {
  /** The origin whose pages may call the app: `https://app.example`. */
  readonly allowed: string;
  /** An origin whose pages may not. Without it, every origin may. @defaultValue none */
  readonly refused?: string | undefined;
  /** The methods that a preflight must allow. @defaultValue `["GET"]` */
  readonly methods?: readonly string[] | undefined;
  /** The request headers that a preflight must allow. @defaultValue none */
  readonly headers?: readonly string[] | undefined;
  /** The response headers that a page must be able to read. @defaultValue none */
  readonly exposed?: readonly string[] | undefined;
  /** Whether the pages send cookies or other credentials. @defaultValue `false` */
  readonly credentials?: boolean | undefined;
}

export interface Routes {
  /** Answers a GET with a 2xx, without credentials. @defaultValue none */
  readonly ok?: string | undefined;
  /** Fails before it answers. @defaultValue none */
  readonly failing?: string | { readonly path: string; readonly status?: number | undefined } | undefined;
  /** Fails after the head and a part of the body were sent. @defaultValue none */
  readonly failingLate?: string | undefined;
  /** Answers a 401 without credentials; with those in `as` a 2xx. @defaultValue none */
  readonly protected?: string | { readonly path: string; readonly as?: Credentials | undefined } | undefined;
  /** Takes longer than the app allows. @defaultValue none */
  readonly slow?:
    | string
    | {
        readonly path: string;
        /** What the app answers instead: 503 by default. */
        readonly status?: number | undefined;
        /** The longest time until the answer. By default `timeoutMs`. */
        readonly withinMs?: number | undefined;
        /** When the handler writes late, after the request. Without it no case waits for that. */
        readonly endsMs?: number | undefined;
      }
    | undefined;
  /** Refuses an upload, or fails, without reading it. @defaultValue none */
  readonly upload?:
    | string
    | {
        readonly path: string;
        /** POST by default. */
        readonly method?: string | undefined;
        readonly headers?: Credentials | undefined;
        /** The Content-Length of the upload: 10,000,000 by default. */
        readonly bytes?: number | undefined;
        /** The status of the refusal: 413 by default. */
        readonly status?: number | undefined;
      }
    | undefined;
  /** Reads the body of a request, up to a limit: a longer one is answered with a 413. @defaultValue none */
  readonly limited?:
    | {
        readonly path: string;
        /** The most bytes that it takes. */
        readonly limit: number;
        /** POST by default. */
        readonly method?: string | undefined;
        readonly headers?: Credentials | undefined;
      }
    | undefined;
  /** Changes something: pages of other sites must not be able to make a browser send it. @defaultValue none */
  readonly changing?:
    | string
    | {
        readonly path: string;
        /** POST by default. */
        readonly method?: string | undefined;
        readonly headers?: Credentials | undefined;
      }
    | undefined;
  /** Answers readiness probes. @defaultValue none */
  readonly health?:
    | string
    | {
        readonly path: string;
        /** 200 by default. A case waits for it. */
        readonly status?: number | undefined;
        /** Whether the answer may have more than the status: the names of checks. */
        readonly details?: boolean | undefined;
      }
    | undefined;
  /**
   * Answers after some time (200 ms or more), to at most `limit` requests at once: more are answered with a 503.
   * @defaultValue none
   */
  readonly busy?:
    | {
        readonly path: string;
        /** How many requests are served at once: a fixed number. */
        readonly limit: number;
        /** How many more may wait: 0 by default. */
        readonly queue?: number | undefined;
        /** Answers liveness probes, also while requests are refused. */
        readonly live?: string | undefined;
        readonly headers?: Credentials | undefined;
      }
    | undefined;
  /** Answers a GET differently for each user: the headers of two users. @defaultValue none */
  readonly personal?: { readonly path: string; readonly as: readonly [Credentials, Credentials] } | undefined;
}

export interface LogExpectations {
  /** Returns all lines (or records) that the request log has written. */
  readonly lines: () => readonly unknown[] | Promise<readonly unknown[]>;
}

/** Where the metrics are: `text` or `path`. */
export interface MetricsExpectations {
  /** Returns the metrics in the text format of Prometheus: `() => register.metrics()`. @defaultValue none */
  readonly text?: (() => string | Promise<string>) | undefined;
  /** The path of the app that answers with them. @defaultValue none */
  readonly path?: string | undefined;
  /** The series that count requests. @defaultValue `"http_server_request_duration_seconds_count"` */
  readonly counter?: string | undefined;
}

/** The exact value of a header, a pattern for it, or `false` if it must be absent. */
export type HeaderExpectation = string | RegExp | false;

/** What an app promises: there are cases for each entry, and some for every app. */
export interface Expectations {
  readonly cors?: CorsExpectations | undefined;
  readonly routes?: Routes | undefined;
  /**
   * The headers of every answer: `true` for those that every API should have, a list of names, or names with their
   * expected values. @defaultValue none
   */
  readonly securityHeaders?:
    | true
    | readonly string[]
    | Readonly<Record<string, HeaderExpectation>>
    | undefined;
  /** Whether requests for other hosts must be refused. @defaultValue `false` */
  readonly hosts?: boolean | undefined;
  /** Whether `routes.ok` must answer methods that it does not have with 405 and `Allow`. @defaultValue `false` */
  readonly methodNotAllowed?: boolean | undefined;
  /** Texts that no error may show: the message that `failing` throws, the name of a table. @defaultValue none */
  readonly secrets?: readonly string[] | undefined;
  readonly log?: LogExpectations | undefined;
  readonly metrics?: MetricsExpectations | undefined;
  /**
   * How long a case waits for an answer, in milliseconds. How quick an answer must be is set by `slow.withinMs`.
   * @defaultValue `10_000`
   */
  readonly timeoutMs?: number | undefined;
  /** For a URL with https: the certificate authority to trust, or the self-signed certificate itself (PEM). @defaultValue none */
  readonly ca?: string | undefined;
}
