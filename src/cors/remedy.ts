import { urlOf } from "../lib/http/target.js";
import { hasLowerCaseHosts, isWebScheme } from "./schemes.js";

/** The problem of an entry; undefined if it is accepted. */
export type EntryCheck = (entry: string) => string | undefined;

/** Whether the text is several origins with commas or spaces between them. */
export function isSeveral(text: string): boolean {
  if (/[,;]/.test(text)) return true;
  const parts = partsOf(text);
  const whole = parts.filter((part) => part.includes("://")).length;
  return parts.length > 1 && (whole === 0 || whole === parts.length);
}

/** The end of a message: what to write instead of a refused entry. Empty if there is nothing to propose. */
export function originRemedy(text: string, problemOf: EntryCheck): string {
  if (isSeveral(text)) {
    const list = partsOf(text).map((part) => accepted(part, problemOf));
    const written = list.includes(undefined) ? EXAMPLES : list;
    return `; write a list for several: [${written.map((one) => JSON.stringify(one)).join(", ")}]`;
  }
  const one = accepted(text.trim(), problemOf);
  if (one !== undefined) return `; write ${JSON.stringify(one)}`;
  return text.includes("://") ? "" : `, such as "${EXAMPLES[0]}"`;
}

const EXAMPLES = ["https://app.example", "https://admin.example"];

function partsOf(text: string): string[] {
  return text.split(/[\s,;]+/).filter((part) => part !== "");
}

function accepted(text: string, problemOf: EntryCheck): string | undefined {
  if (problemOf(text) === undefined) return text;
  const repaired = repair(text);
  return repaired === undefined || problemOf(repaired) !== undefined ? undefined : repaired;
}

/** The origin that was probably meant; the caller checks it. */
function repair(written: string): string | undefined {
  const text = written.replace(/^(["'`])(.*)\1$/, "$2");
  const whole = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text) ?? /^(https?):\/?(?!\/)(.*)$/i.exec(text);
  if (whole === null && text.includes("://")) return undefined;
  const rest = (whole === null ? text.replace(/^\/*/, "") : whole[2]!)
    .replace(/[/?#\\].*$/, "")
    .replace(/^.*@/, "");
  const scheme = whole === null ? likelyScheme(rest) : whole[1]!.toLowerCase();
  if (scheme === "file") return "file://";
  if (!isWebScheme(scheme)) {
    return `${scheme}://${hasLowerCaseHosts(scheme) ? rest.toLowerCase() : rest}`;
  }
  const [, stars, name, anyPort] = /^(\*?\.)?(.*?)(:\*)?$/.exec(rest) as unknown as [
    string,
    string?,
    string?,
    string?,
  ];
  const url = urlOf(`${scheme}://${name}`);
  if (name === "" || url === undefined) return undefined;
  const { hostname, port } = url;
  const host = ipv4Of(hostname) ?? hostname;
  return `${scheme}://${stars === undefined ? "" : "*."}${host}${anyPort ?? (port && `:${port}`)}`;
}

function likelyScheme(rest: string): string {
  return /^(?:[\w.-]+\.)?localhost(?::|$)|^127(?:\.[0-9]+){3}(?::|$)|^\[::1\]/i.test(rest) ? "http" : "https";
}

/** `[::ffff:102:304]` is 1.2.3.4. */
function ipv4Of(host: string): string | undefined {
  const parts = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(host);
  if (parts === null) return undefined;
  const [high, low] = [Number.parseInt(parts[1]!, 16), Number.parseInt(parts[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
