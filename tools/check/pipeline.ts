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
  readonly details?: Readonly<Record<string, unknown>>;
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

/** A node and its place in the app. */
export interface Step {
  readonly node: PipelineNode;
  /** Its number in the order in which requests pass the nodes. */
  readonly order: number;
  /** The nodes around it, the app first. */
  readonly ancestors: readonly PipelineNode[];
  /** Within `when` or `unless`: some requests may not pass it. */
  readonly isConditional: boolean;
  /** The route that it belongs to. */
  readonly route: PipelineNode | undefined;
}

/** All nodes below the app, in order. */
export function stepsOf(app: PipelineNode): readonly Step[] {
  const steps: Step[] = [];
  const visit = (node: PipelineNode, ancestors: readonly PipelineNode[]): void => {
    for (const child of node.children) {
      const around = [...ancestors, node];
      steps.push({
        node: child,
        order: steps.length,
        ancestors: around,
        isConditional: around.some(
          ({ details }) => details?.composed === "when" || details?.composed === "unless",
        ),
        route: around.find(({ kind }) => kind === "route"),
      });
      visit(child, around);
    }
  };
  visit(app, []);
  return steps;
}

/** Whether all requests for `other` go to a handler at `path`. When unsure, no. */
export function covers(path: string, other: string): boolean {
  if (path === "/" || isEverything(path) || path === other) return true;
  return other.startsWith(path.endsWith("/") ? path : `${path}/`);
}

/** The same, but yes when unsure: an unknown part of a path may be anything. */
export function mayCover(path: string, other: string): boolean {
  return covers(path, other) || hasUnknown(path) || hasUnknown(other);
}

/** Whether a part of a path could not be read: `/(?1)`. */
export function hasUnknown(path: string): boolean {
  return /\/\(\?\d+\)/.test(path);
}

/** Whether a request below `other` may come to the node. A route matches whole paths, all others match their beginning. */
export function meets({ kind, path }: PipelineNode, other: string): boolean {
  return covers(other, path) || (kind === "route" ? isEverything(path) : covers(path, other));
}

/** Express 4: `*`; Express 5: `/*splat` and `/{*splat}`. */
function isEverything(path: string): boolean {
  return /^\/?\*$|^\/\*\w+$|^\/\{\*\w+\}$/.test(path);
}

/** Whether every request that comes to `later` has passed `earlier`. */
export function isAlwaysAfter(later: Step, earlier: Step): boolean {
  if (earlier.order >= later.order || earlier.isConditional) return false;
  if (later.ancestors.includes(earlier.node)) return false;
  if (earlier.route !== undefined && earlier.route !== later.route) return false;
  const isSameApp = earlier.ancestors[0] === later.ancestors[0];
  return isSameApp && covers(earlier.node.path, later.node.path);
}

/** Whether both are in one list, or one in a list around the other. Two routers or chains may each have their own. */
export function areInOneList(a: Step, b: Step): boolean {
  const [listOfA, listOfB] = [a.ancestors.at(-1)!, b.ancestors.at(-1)!];
  return b.ancestors.includes(listOfA) || a.ancestors.includes(listOfB);
}

export function isConcern(step: Step, ...concerns: readonly string[]): boolean {
  return step.node.kind !== "route" && concerns.includes(step.node.concern ?? "");
}

/** How findings name a node. */
export function labelOf({ kind, name, package: from, path, methods, concern }: PipelineNode): string {
  if (kind === "route") return `${methods?.join(", ") || "route"} ${path}`;
  if (kind === "router" || kind === "app") return path === "/" ? `the ${kind}` : `the ${kind} at ${path}`;
  if (from !== undefined && from !== "express-portico" && concern !== "bodyParser") return from;
  if (name !== "<anonymous>") return name;
  if (concern === "notFound") return "the 404 handler";
  return kind === "error handler" ? "the error handler" : "a handler without a name";
}

export function placeOf(node: PipelineNode): string {
  return `${node.index} ${labelOf(node)}`;
}

/** A finding for a node. The message has three parts: what is wrong, its effect, what to do. */
export function finding(
  rule: string,
  level: Finding["level"],
  { node }: Step,
  parts: { what: string; happens: string; fix: string; why: string },
): Finding {
  const { what, happens, fix, why } = parts;
  return { rule, level, at: placeOf(node), message: `${what}: ${happens}; ${fix}`, why, fix };
}

/** The finding for a node that should be above another one. */
export function belongsAbove(
  rule: string,
  level: Finding["level"],
  step: Step,
  above: Step,
  parts: { happens: string; why: string },
): Finding {
  const label = labelOf(above.node);
  return finding(rule, level, step, {
    what: `${labelOf(step.node)} is after ${label}`,
    fix: `move it up, above ${label}`,
    ...parts,
  });
}
