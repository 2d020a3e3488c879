import type { Request, Response } from "express";
import { type DevStyle, devFormat } from "./dev-format.js";
import type { RequestLogEntry } from "./entry.js";
import { escapeLine } from "./escape.js";
import { jsonLine, jsonRecord } from "./json.js";
import {
  compileMorgan,
  compileMorganFunction,
  expectsTokens,
  type FormatProblem,
  type LineFormat,
} from "./morgan-format.js";
import type { SecretNames } from "./redact.js";
import { mapEntry, type Schema } from "./schemas.js";

export const FORMAT_HINT =
  'must be "json", "dev", a morgan format ("combined", ":method :url :status"), or a function (entry, req, res) that returns a line';

const FOR_MORGAN =
  "a format function gets (entry, req, res); one for morgan's tokens goes by name: morgan.format(name, fn), then format: name";

type CustomFormat = (entry: RequestLogEntry, req: Request, res: Response) => unknown;

/** Returns the function that writes the lines, or the problem of the format. */
export function chooseFormat(
  format: string | CustomFormat,
  schema: Schema,
  secrets: SecretNames,
  style: DevStyle,
): LineFormat | FormatProblem {
  if (typeof format === "function") return compileMorganFunction(format, secrets) ?? custom(format);
  if (format === "dev") return devFormat(style);
  if (format !== "json") return compileMorgan(format, secrets);
  return schema === "plain" ? jsonLine : (entry, req) => jsonRecord(mapEntry[schema](entry, req));
}

function custom(format: CustomFormat): LineFormat {
  return function customLine(entry, req, res) {
    let line: unknown;
    try {
      line = format(entry, req as Request, res as Response);
    } catch (fault) {
      throw expectsTokens(fault) ? new TypeError(FOR_MORGAN, { cause: fault }) : fault;
    }
    // The caller checks a result that is not a string.
    return typeof line === "string" ? escapeLine(line) : (line as undefined);
  };
}
