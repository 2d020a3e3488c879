import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "../lib/log/logger.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { describeThrown, isThenable } from "../lib/values/thrown.js";
import type { Arrival } from "./arrival.js";
import type { Callbacks } from "./callbacks.js";
import { addRouteAndTrace, type RequestLogEntry } from "./entry.js";
import { jsonLine, mapEntry, type Schema } from "./formats/index.js";
import type { LineFormat } from "./formats/morgan.js";

/** The form of the records, and where they go. */
export interface Output {
  readonly line: LineFormat;
  readonly schema: Schema;
  readonly logger: Logger | undefined;
  /** Used if there is no logger. */
  readonly stream: LineStream;
  readonly callbacks: Callbacks;
}

/** Writes one record; returns false if the logger threw. */
export type WriteRecord = (entry: RequestLogEntry, arrival: Arrival, res: ServerResponse) => boolean;

export function writerOf(output: Output): WriteRecord {
  return output.logger === undefined ? toStream(output) : toLogger(output, output.logger);
}

function toStream(output: Output): WriteRecord {
  let writer: LineWriter | undefined;
  return function writeToStream(entry, arrival, res) {
    const line = lineOf(output, entry, arrival, res);
    if (line !== undefined) (writer ??= lineWriterFor(output.stream)).add(line);
    return true;
  };
}

function toLogger(output: Output, logger: Logger): WriteRecord {
  return function writeToLogger(entry, arrival, res) {
    const message = lineOf(output, entry, arrival, res);
    if (message === undefined) return true;
    try {
      const result: unknown = logger[entry.level](fieldsOf(output, entry, arrival.req), message);
      if (isThenable(result))
        result.then(undefined, (fault: unknown) => output.callbacks.threw("logger", fault));
    } catch (fault) {
      output.callbacks.threw("logger", fault);
      return false;
    }
    return true;
  };
}

/** If the format fails, the record is written as JSON instead. */
function lineOf(
  output: Output,
  entry: RequestLogEntry,
  arrival: Arrival,
  res: ServerResponse,
): string | undefined {
  try {
    const line: unknown = output.line(entry, arrival.req, res);
    if (typeof line === "string" || line === undefined) return line as string | undefined;
    output.callbacks.returned("format", "a string, or undefined for no line", line);
  } catch (fault) {
    output.callbacks.threw("format", fault);
  }
  addRouteAndTrace(entry, arrival); // not yet done for a text format, which does not use them
  return jsonLine(entry);
}

/** Fields left out because the logger writes its own time, level and message. */
const LOGGER_FIELDS = new Set([
  ...["time", "level"],
  ...["@timestamp", "log.level", "message"],
  ...["timestamp", "severity_text", "severity_number", "body"],
]);

function fieldsOf(output: Output, entry: RequestLogEntry, req: IncomingMessage): object {
  const all = output.schema === "plain" ? entry : mapEntry[output.schema](entry, req);
  return Object.fromEntries(
    Object.entries(all).filter(([name, value]) => value !== undefined && !LOGGER_FIELDS.has(name)),
  );
}

/** Where lines go: a Node stream (`process.stdout`, a file), or anything with a `write`. */
export interface LineStream {
  write(line: string): unknown;
}

type NodeStream = LineStream & NodeJS.EventEmitter & { readonly destroyed?: boolean };

/** How many lines wait for a stream that does not drain. */
const MAX_WAITING_LINES = 1_000;

interface LineWriter {
  /** Writes a line, given without its line feed; never throws. */
  add(line: string): void;
}

/** Logs with the same stream share one writer: one order of lines, one limit, one listener. */
const lineWriters = new WeakMap<LineStream, LineWriter>();

export function lineWriterFor(stream: LineStream): LineWriter {
  let writer = lineWriters.get(stream);
  if (writer === undefined) {
    writer = isNodeStream(stream) ? new BatchingWriter(stream) : new PlainWriter(stream);
    lineWriters.set(stream, writer);
  }
  return writer;
}

function isNodeStream(stream: LineStream): stream is NodeStream {
  return typeof (stream as NodeStream).on === "function" && typeof (stream as NodeStream).once === "function";
}

/** Warns once that the stream failed; its lines are lost. */
class StreamWarning {
  private warned = false;

  warn(fault: unknown): void {
    if (this.warned) return;
    this.warned = true;
    stderrLogger.warn({ error: describeThrown(fault) }, "requestLog: the stream failed; lines are lost");
  }
}

/** For an object with a `write` method that is not a Node stream: each line is written at once, in its own call. */
class PlainWriter implements LineWriter {
  private readonly warning = new StreamWarning();

  constructor(private readonly stream: LineStream) {}

  add(line: string): void {
    try {
      const result = this.stream.write(`${line}\n`);
      if (isThenable(result)) result.then(undefined, (fault: unknown) => this.warning.warn(fault));
    } catch (fault) {
      this.warning.warn(fault);
    }
  }
}

/**
 * For a Node stream: the lines of one turn of the event loop are one write, because a system call costs more than a
 * line. While the stream is full, up to 1,000 lines wait; more are dropped and counted.
 */
class BatchingWriter implements LineWriter {
  private readonly warning = new StreamWarning();
  private text = "";
  private waiting = 0;
  private dropped = 0;
  private scheduled = false;
  private full = false;
  private listening = false;

  constructor(private readonly stream: NodeStream) {}

  add(line: string): void {
    if (this.full && this.waiting >= MAX_WAITING_LINES) {
      this.dropped++;
      return;
    }
    this.text += `${line}\n`;
    this.waiting++;
    if (this.scheduled || this.full) return;
    this.scheduled = true;
    setImmediate(flush, this);
  }

  flush(): void {
    this.scheduled = false;
    if (this.full || this.waiting === 0) return;
    const text = this.text;
    this.text = "";
    this.waiting = 0;
    try {
      this.listen();
      if (this.stream.destroyed) throw new Error("the stream is destroyed");
      this.full = this.stream.write(text) === false;
    } catch (fault) {
      this.warning.warn(fault);
    }
  }

  /** Called with the first line, so that making a log adds no listener to the stream. */
  private listen(): void {
    if (this.listening) return;
    this.listening = true;
    this.stream.on("drain", () => this.resume());
    // An 'error' event without a listener would end the process.
    this.stream.on("error", (fault: unknown) => {
      this.warning.warn(fault);
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

function flush(writer: BatchingWriter): void {
  writer.flush();
}
