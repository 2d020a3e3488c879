/** One thing that a request comes by, as it stands in the app. */
export interface PipelineNode {
  readonly kind: "middleware" | "error handler" | "router" | "route" | "app";
  /** The function's own name, or `<anonymous>`; of a chain, what it is made with. */
  readonly name: string;
  /** Its place: `2.1` is the first in what stands second. Empty for the app itself. */
  readonly index: string;
  /** The whole template of the path it stands at. A part that cannot be told is written `(?1)`, numbered. */
  readonly path: string;
  /** Of a route: the methods it answers; `ALL` for all of them. */
  readonly methods?: readonly string[];
  /** What it is for, if that is known: `cors`, `log`, `auth`, `bodyParser`, … */
  readonly concern?: string;
  /** The package that it comes from, if that is known. */
  readonly package?: string;
  /** What else was seen of it. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** What stands within it, in order. */
  readonly children: readonly PipelineNode[];
  /** Why what stands within it cannot be seen. */
  readonly unseen?: string;
}

/** Something that is wrong with the order, or with how two of its members go together. */
export interface Finding {
  readonly rule: string;
  /** A fault breaks what a client sees, what is protected, or what is logged; advice is what could be better. */
  readonly level: "fault" | "advice";
  /** The index of the node, and what stands there: `3 cors`. */
  readonly at: string;
  /** One line: what is wrong, what happens, what to do. */
  readonly message: string;
  readonly why: string;
  readonly fix: string;
}
