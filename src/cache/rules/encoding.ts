import type { IncomingHttpHeaders } from "node:http";
import type { HeaderList } from "../../lib/response/snapshot.js";
import { fieldOf } from "./fields.js";

/** Whether the body has an encoding. */
export function isEncoded(headers: HeaderList): boolean {
  const encoding = fieldOf(headers, "content-encoding");
  return encoding !== undefined && encoding !== "" && encoding.toLowerCase() !== "identity";
}

/** Whether a client accepts an encoded body (RFC 9110 section 12.5.3); yes if that is not clear. */
export function acceptsEncoding(headers: IncomingHttpHeaders): boolean {
  const field = headers["accept-encoding"];
  if (field === undefined) return false;
  return String(field)
    .split(",")
    .some((element) => !REFUSED_OR_PLAIN.test(element));
}

const REFUSED_OR_PLAIN = /^[ \t]*(?:|identity(?:[ \t]*;.*)?|[^;]*;[ \t]*q=0(?:\.0{0,3})?[ \t]*)$/i;
