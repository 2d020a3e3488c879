import { words } from "../../src/lib/values/words.js";
import { type Answer, header, members } from "./message.js";

/** CORS-safelisted methods and response headers (Fetch). */
const SAFE_METHODS = ["GET", "HEAD", "POST"];
const SAFE_HEADERS = words(
  "cache-control content-language content-length content-type expires last-modified pragma",
);

/** Why a page of that origin cannot read the answer, by the CORS check of Fetch; undefined if it can. */
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

/** Why a browser does not send the request after this answer to the preflight; undefined if it does. */
export function whyNotSent(
  answer: Answer,
  request: { origin: string; method: string; headers: readonly string[]; credentials: boolean },
): string | undefined {
  const { method, credentials } = request;
  if (answer.status < 200 || answer.status > 299) return `its status is ${answer.status}, not a 2xx`;
  const unreadable = whyUnreadable(answer, request.origin, credentials);
  if (unreadable !== undefined) return unreadable;

  // Methods are case-sensitive: "patch" is not PATCH.
  const methods = (header(answer, "Access-Control-Allow-Methods") ?? "")
    .split(",")
    .map((name) => name.trim());
  const isMethodGranted =
    SAFE_METHODS.includes(method) || methods.includes(method) || (!credentials && methods.includes("*"));
  if (!isMethodGranted) return `its Access-Control-Allow-Methods does not name ${method}`;

  const granted = members(answer, "Access-Control-Allow-Headers");
  const missing = request.headers.find(
    (name) => !granted.includes(name) && !(granted.includes("*") && !credentials && name !== "authorization"),
  );
  return missing === undefined ? undefined : `its Access-Control-Allow-Headers does not name ${missing}`;
}

/** Whether a page that may read the answer can see this header. */
export function isExposed(answer: Answer, name: string, credentials: boolean): boolean {
  const exposed = members(answer, "Access-Control-Expose-Headers");
  const lower = name.toLowerCase();
  return SAFE_HEADERS.includes(lower) || exposed.includes(lower) || (!credentials && exposed.includes("*"));
}
