/** One part of an app that requests pass. */
export interface PipelineNode {
  readonly kind: "middleware" | "error handler" | "router" | "route" | "app";
  /** The name of the function, or `<anonymous>`; `chain`, `when` or `unless` for these. */
  readonly name: string;
  /** Its position: `2.1` is the first part of the second. Empty for the app itself. */
  readonly index: string;
  /** The template of its whole path. Parts that could not be read are numbered: `(?1)`. */
  readonly path: string;
  /** The methods of a route; `ALL` for all of them. */
  readonly methods?: readonly string[];
  /** What it does, if known: `cors`, `log`, `auth`, `bodyParser`, … */
  readonly concern?: string;
  /** The package that it comes from, if known. */
  readonly package?: string;
  /** What else is known of it. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** Its parts, in order. */
  readonly children: readonly PipelineNode[];
  /** Why its parts could not be read. */
  readonly unseen?: string;
}

/** Something that is wrong with the order, or with two parts that do not fit together. */
export interface Finding {
  readonly rule: string;
  /** A fault breaks what clients see, what is protected or what is logged; advice names what could be better. */
  readonly level: "fault" | "advice";
  /** The index and the label of the node: `3 cors`. */
  readonly at: string;
  /** One line: what is wrong, its effect, and what to do. */
  readonly message: string;
  readonly why: string;
  readonly fix: string;
}
