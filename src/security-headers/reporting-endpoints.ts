import { urlOf } from "../lib/http/target.js";
import { quote } from "../lib/http/tokens.js";

/** A key of a structured dictionary: RFC 9651 section 3.1.2. */
export function endpointNameProblem(name: string): string | undefined {
  return /^[a-z*][a-z0-9_\-.*]*$/.test(name)
    ? undefined
    : "is not a name for an endpoint; write lower-case letters, digits, - and _, such as csp-endpoint";
}

/** The problem of an endpoint's address, or undefined. Browsers send reports to https addresses only. */
export function endpointUrlProblem(url: unknown): string | undefined {
  if (typeof url !== "string" || urlOf(url) === undefined) {
    return 'must be a whole address, such as "https://reports.example/csp"';
  }
  if (!/^[\x21-\x7e]+$/.test(url)) {
    return "must be printable ASCII without spaces; percent-encode other characters";
  }
  return new URL(url).protocol === "https:"
    ? undefined
    : "must begin with https:, because browsers ignore all other addresses";
}

/** Whether the address has a user name or password: browsers send no reports there, and every client could read them. */
export function holdsCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== "" || password !== "";
}

/** The header's value, or undefined if there is no endpoint. */
export function serializeEndpoints(endpoints: Readonly<Record<string, string>>): string | undefined {
  const members = Object.entries(endpoints).map(([name, url]) => `${name}=${quote(url)}`);
  return members.length === 0 ? undefined : members.join(", ");
}

/** The address for `report-uri`, where a comma or a semicolon would end the directive. */
export function asReportUri(url: string): string {
  return new URL(url).href.replaceAll(",", "%2C").replaceAll(";", "%3B");
}
