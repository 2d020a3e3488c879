import { urlOf } from "../lib/http/target.js";
import { quote } from "../lib/http/tokens.js";

/** A key of a structured dictionary: RFC 9651 section 3.1.2. */
export function endpointNameProblem(name: string): string | undefined {
  return /^[a-z*][a-z0-9_\-.*]*$/.test(name)
    ? undefined
    : "is no name for an endpoint; write small letters, digits, - and _, such as csp-endpoint";
}

/** What is wrong with an endpoint's address, or undefined. Browsers use no other scheme than https. */
export function endpointUrlProblem(url: unknown): string | undefined {
  if (typeof url !== "string" || urlOf(url) === undefined) {
    return 'must be a whole address, such as "https://reports.example/csp"';
  }
  if (!/^[\x21-\x7e]+$/.test(url)) {
    return "must be of printable ASCII without spaces; percent-encode what is not";
  }
  return new URL(url).protocol === "https:"
    ? undefined
    : "must begin with https:, for browsers ignore every other address";
}

/** Whether the address holds a user's name or password: no browser sends a report there, and everybody could read it. */
export function holdsCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== "" || password !== "";
}

/** The header's value, or undefined if there is no endpoint. */
export function serializeEndpoints(endpoints: Readonly<Record<string, string>>): string | undefined {
  const members = Object.entries(endpoints).map(([name, url]) => `${name}=${quote(url)}`);
  return members.length === 0 ? undefined : members.join(", ");
}

/** The address as a `report-uri` can hold it: a comma or a semicolon would end the directive. */
export function asReportUri(url: string): string {
  return new URL(url).href.replaceAll(",", "%2C").replaceAll(";", "%3B");
}
