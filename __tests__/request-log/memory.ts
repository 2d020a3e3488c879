import type { RequestLogEntry } from "../../src/request-log/index.js";

/** A stream that keeps its lines, without their line feeds. */
export function memoryStream() {
  const lines: string[] = [];
  return {
    lines,
    write(line: string) {
      if (!line.endsWith("\n")) throw new Error("a line must end with a line feed");
      lines.push(line.slice(0, -1));
      return true;
    },
    /** The lines as JSON. */
    get entries(): RequestLogEntry[] {
      return lines.map((line) => JSON.parse(line) as RequestLogEntry);
    },
  };
}
