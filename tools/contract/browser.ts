import { type Answer, header, members } from "./answer.js";

/** Methods and answers' header names that need nobody's leave (Fetch, CORS-safelisted). */
const SAFE_METHODS = ["GET", "HEAD", "POST"];
const SAFE_HEADERS = [
  "cache-control",
  "content-language",
  "content-length",
  "content-type",
  "expires",
  "last-modified",
  "pragma",
];

/** Why a page of that origin cannot read the answer, as Fetch's CORS check has it; undefined if it can. */
export function whyUnreadable(answer: Answer, origin: string, credentials: boolean): string | undefined {
  const allowed = header(answer, "Access-Control-Allow-Origin");
  if (allowed === undefined) return "it has no Access-Control-Allow-Origin";
  if (allowed === "*") {
    return credentials
      ? "Access-Control-Allow-Origin: * does not count for a page that sends cookies"
      : undefined;
  }
  if (allowed !== origin) return `its Access-Control-Allow-Origin is ${JSON.stringify(allowed)}`;
  if (credentials && header(answer, "Access-Control-Allow-Credentials") !== "true") {
    return "the page sends cookies, and it has no Access-Control-Allow-Credentials: true";
  }
  return undefined;
}

/** Why a browser does not send the request after this answer to its preflight; undefined if it does. */
export function whyNotSent(
  answer: Answer,
  wish: { origin: string; method: string; headers: readonly string[]; credentials: boolean },
): string | undefined {
  const { method, credentials } = wish;
  if (answer.status < 200 || answer.status > 299) return `its status is ${answer.status}, not a 2xx`;
  const unreadable = whyUnreadable(answer, wish.origin, credentials);
  if (unreadable !== undefined) return unreadable;

  // Methods are compared as they are written: "patch" is not PATCH.
  const methods = (header(answer, "Access-Control-Allow-Methods") ?? "")
    .split(",")
    .map((name) => name.trim());
  const isMethodGranted =
    SAFE_METHODS.includes(method) || methods.includes(method) || (!credentials && methods.includes("*"));
  if (!isMethodGranted) return `its Access-Control-Allow-Methods does not name ${method}`;

  const granted = members(answer, "Access-Control-Allow-Headers");
  const missing = wish.headers.find(
    (name) => !granted.includes(name) && !(granted.includes("*") && !credentials && name !== "authorization"),
  );
  return missing === undefined ? undefined : `its Access-Control-Allow-Headers does not name ${missing}`;
}

/** Can a script of a page that may read the answer see this header of it? */
export function isExposed(answer: Answer, name: string, credentials: boolean): boolean {
  const exposed = members(answer, "Access-Control-Expose-Headers");
  const lower = name.toLowerCase();
  return SAFE_HEADERS.includes(lower) || exposed.includes(lower) || (!credentials && exposed.includes("*"));
}
