import { stderrLogger } from "../lib/log/stderr-logger.js";
import { describeThrown, isThenable } from "../lib/values/thrown.js";

/** Where lines go: a Node stream (`process.stdout`, a file), or anything with a `write`. */
export interface LineStream {
  write(line: string): unknown;
}

type NodeStream = LineStream & NodeJS.EventEmitter & { readonly destroyed?: boolean };

/** How many lines wait for a stream that does not drain. */
const MAX_HELD_LINES = 1_000;

export interface Sink {
  /** Writes a line, given without its line feed; never throws. */
  add(line: string): void;
}

/** Logs with the same stream share one sink: one order of lines, one limit, one listener. */
const sinks = new WeakMap<LineStream, Sink>();

export function sinkFor(stream: LineStream): Sink {
  let sink = sinks.get(stream);
  if (sink === undefined) {
    sink = isNodeStream(stream) ? new BatchingSink(stream) : new PlainSink(stream);
    sinks.set(stream, sink);
  }
  return sink;
}

function isNodeStream(stream: LineStream): stream is NodeStream {
  return typeof (stream as NodeStream).on === "function" && typeof (stream as NodeStream).once === "function";
}

/** Warns once that the stream failed; its lines are lost. */
class Complaint {
  private made = false;

  make(fault: unknown): void {
    if (this.made) return;
    this.made = true;
    stderrLogger.warn({ error: describeThrown(fault) }, "requestLog: the stream failed; lines are lost");
  }
}

/** For an object with a `write` method that is not a Node stream: each line is written at once, in its own call. */
class PlainSink implements Sink {
  private readonly complaint = new Complaint();

  constructor(private readonly stream: LineStream) {}

  add(line: string): void {
    try {
      const result = this.stream.write(`${line}\n`);
      if (isThenable(result)) result.then(undefined, (fault: unknown) => this.complaint.make(fault));
    } catch (fault) {
      this.complaint.make(fault);
    }
  }
}

/**
 * For a Node stream: the lines of one turn of the event loop are one write, because a system call costs more than a
 * line. While the stream is full, up to 1,000 lines wait; more are dropped and counted.
 */
class BatchingSink implements Sink {
  private readonly complaint = new Complaint();
  private text = "";
  private held = 0;
  private dropped = 0;
  private scheduled = false;
  private full = false;
  private listening = false;

  constructor(private readonly stream: NodeStream) {}

  add(line: string): void {
    if (this.full && this.held >= MAX_HELD_LINES) {
      this.dropped++;
      return;
    }
    this.text += `${line}\n`;
    this.held++;
    if (this.scheduled || this.full) return;
    this.scheduled = true;
    setImmediate(flush, this);
  }

  flush(): void {
    this.scheduled = false;
    if (this.full || this.held === 0) return;
    const text = this.text;
    this.text = "";
    this.held = 0;
    try {
      this.listen();
      if (this.stream.destroyed) throw new Error("the stream is destroyed");
      this.full = this.stream.write(text) === false;
    } catch (fault) {
      this.complaint.make(fault);
    }
  }

  /** Called with the first line, so that making a log adds no listener to the stream. */
  private listen(): void {
    if (this.listening) return;
    this.listening = true;
    this.stream.on("drain", () => this.resume());
    // An 'error' event without a listener would end the process.
    this.stream.on("error", (fault: unknown) => {
      this.complaint.make(fault);
      this.resume();
    });
  }

  private resume(): void {
    this.full = false;
    if (this.dropped > 0) {
      const { dropped } = this;
      this.dropped = 0;
      stderrLogger.warn({ dropped }, "requestLog: the stream was full; lines were dropped");
    }
    this.flush();
  }
}

function flush(sink: BatchingSink): void {
  sink.flush();
}
