import type { Edit } from "./edits.js";
import { OwnNames } from "./imports.js";
import type { Node } from "./nodes.js";
import { type Imported, importsOf } from "./packages.js";
import type { Source } from "./source.js";

/** Something that is said about a line of the file. */
export interface Said {
  readonly line: number;
  readonly text: string;
}

/** The edits of one file while they are decided, and what is said about them. */
export class Draft {
  readonly source: Source;
  readonly imports: readonly Imported[];
  /** The names that the file takes from this package. */
  readonly names: OwnNames;
  readonly edits: Edit[] = [];
  readonly #said = { done: [] as Said[], notes: [] as Said[], left: [] as Said[] };

  constructor(source: Source) {
    this.source = source;
    this.imports = importsOf(source);
    this.names = new OwnNames(source, this.imports);
  }

  /** What was done. */
  done(at: Node, text: string): void {
    this.#said.done.push({ line: this.source.lineOf(at), text });
  }

  /** What differs after the change, or must be known. */
  note(at: Node, text: string): void {
    this.#said.notes.push({ line: this.source.lineOf(at), text });
  }

  /** What was left as it is, and why. */
  leave(at: Node, text: string): void {
    this.#said.left.push({ line: this.source.lineOf(at), text });
  }

  /** All that was said, by line. */
  get said(): {
    readonly done: readonly Said[];
    readonly notes: readonly Said[];
    readonly left: readonly Said[];
  } {
    const byLine = (list: readonly Said[]) => list.toSorted((a, b) => a.line - b.line);
    const { done, notes, left } = this.#said;
    return { done: byLine(done), notes: byLine(notes), left: byLine(left) };
  }
}
