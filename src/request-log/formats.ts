import type { Request, Response } from "express";
import { type DevLook, devFormat } from "./dev-format.js";
import type { RequestLogEntry } from "./entry.js";
import { escapeLine } from "./escape.js";
import { jsonLine, jsonRecord } from "./json.js";
import { compileMorgan, type FormatProblem, type LineFormat } from "./morgan-format.js";
import type { SecretNames } from "./redact.js";
import { mapEntry, type Schema } from "./schemas.js";

export const FORMAT_HINT =
  'must be "json", "dev", a morgan format ("combined", ":method :url :status"), or a function (entry, req, res) that returns a line';

type CustomFormat = (entry: RequestLogEntry, req: Request, res: Response) => unknown;

/** The function that makes the lines, or what is wrong with the format. */
export function chooseFormat(
  format: string | CustomFormat,
  schema: Schema,
  secrets: SecretNames,
  look: DevLook,
): LineFormat | FormatProblem {
  if (typeof format === "function") return custom(format);
  if (format === "dev") return devFormat(look);
  if (format !== "json") return compileMorgan(format, secrets);
  return schema === "plain" ? jsonLine : (entry, req) => jsonRecord(mapEntry[schema](entry, req));
}

function custom(format: CustomFormat): LineFormat {
  return function customLine(entry, req, res) {
    const line = format(entry, req as Request, res as Response);
    // Anything but a string is the caller's to judge.
    return typeof line === "string" ? escapeLine(line) : (line as undefined);
  };
}
