import { cors } from "../../../src/cors/index.js";
import { FOREIGN } from "../../../src/cors/options.js";
import { insert, Refusal } from "../edits.js";
import { isUnknown } from "../static-value.js";
import {
  foreignText,
  OptionEdits,
  problemOf,
  quoted,
  SOME_ORIGIN,
  type Translate,
  writtenOptions,
} from "./options.js";

const KEPT = new Set([
  "origin",
  "methods",
  "allowedHeaders",
  "exposedHeaders",
  "credentials",
  "maxAge",
  "optionsSuccessStatus",
]);

export const translateCors: Translate = (source, call) => {
  const [argument] = call.arguments;
  const any = `{ origin: ${quoted(source, "*")}, optionsSuccessStatus: 204 }`;
  if (argument === undefined) return { name: "cors", edits: [insert(call.end! - 1, any)], notes: [] };
  if (/Function/.test(argument.type) || call.arguments.length > 1)
    return new Refusal("options that depend on the request are `when` and `unless` here (docs/cors.md)");
  const written = writtenOptions(source, argument);
  if (written instanceof Refusal) return written;
  const { object, values, shared } = written;
  const options = new OptionEdits(source, object);
  const checked: Record<string, unknown> = { ...values };
  const notes: string[] = [];
  for (const [key, value] of Object.entries(values)) {
    if (key === "preflightContinue" && value === false) options.remove(key);
    else if (key === "headers") {
      options.rename(key, "allowedHeaders");
      checked.allowedHeaders = value;
    } else if (!KEPT.has(key)) return new Refusal(foreignText(FOREIGN, "cors", key));
    if (!KEPT.has(key)) delete checked[key];
  }
  const { origin, credentials, maxAge } = values;
  if (typeof origin === "function")
    return new Refusal(
      "origin is a function with a callback; here it is (origin, req) => boolean, or a promise of one",
    );
  if (origin === true && credentials !== undefined && credentials !== false)
    return new Refusal(
      "origin: true with credentials lets every site read what its visitors may see: name the origins",
    );
  if (origin === true) {
    options.replaceValue("origin", quoted(source, "*"));
    checked.origin = "*";
  } else if (isUnknown(origin)) {
    if (!origin.isText && !origin.isEnvironment)
      return new Refusal("what origin is, is not written in this file: it may be a function, or true");
    if (origin.isEnvironment && !origin.isText && credentials !== undefined && credentials !== false)
      return new Refusal(
        "origin may be undefined, which allows every origin, and with credentials that is refused here: give a value for every environment",
      );
    checked.origin = SOME_ORIGIN;
    notes.push("the app does not start if the value of origin is not an origin");
  }
  if (typeof maxAge === "string" && /^\d+$/.test(maxAge)) {
    options.replaceValue("maxAge", maxAge);
    checked.maxAge = Number(maxAge);
  }
  for (const key of Object.keys(checked)) {
    const value = checked[key];
    if (isUnknown(value) && !value.isText) return new Refusal(`what ${key} is, is not written in this file`);
    if (isUnknown(value)) delete checked[key];
    if (Array.isArray(value)) {
      if (value.some((one) => isUnknown(one) && !one.isText))
        return new Refusal(`${key} has a value that is not written in this file`);
      checked[key] = value.map((one) => (isUnknown(one) ? (key === "origin" ? SOME_ORIGIN : "x-some") : one));
    }
  }
  const isOpen = checked.origin === "*" || checked.origin === undefined;
  // A variable of the environment that is not set allows every origin.
  const mayBeOpen = isOpen || (isUnknown(origin) && origin.isEnvironment);
  if (mayBeOpen && values.optionsSuccessStatus === undefined) options.append("optionsSuccessStatus: 204");
  const problem = problemOf(() => cors(checked));
  if (problem !== undefined) return new Refusal(problem);
  if (options.edits.length > 0 && shared !== undefined)
    return new Refusal(`its options would change, and other code uses ${shared} too`);
  if (!isOpen)
    notes.push(
      'an OPTIONS request that is no preflight goes on to your routes; shortCircuit: "all" answers it, as the package does',
    );
  return { name: "cors", edits: options.edits, notes };
};
