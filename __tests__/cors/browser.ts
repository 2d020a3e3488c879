import http from "node:http";
import { raw, type TestServer } from "../support/server.js";

/** A page's request. */
export interface Ask {
  readonly origin: string;
  readonly method: string;
  /** Names in lower case, sorted and unique, as browsers list them; `content-type` is one for JSON. */
  readonly headers: readonly string[];
  /** The credentials mode is "include". */
  readonly withCredentials: boolean;
}

/** Where the browser stops, if it does. */
export type Outcome = "shared" | "refused at the preflight" | "refused at the answer";

type Fields = Readonly<Record<string, string | undefined>>;

const SAFELISTED_METHODS = ["GET", "HEAD", "POST"];

/** Whether the request needs no preflight; every header of `Ask` needs one. */
export function needsPreflight({ method, headers }: Ask): boolean {
  return !SAFELISTED_METHODS.includes(method) || headers.length > 0;
}

/** Sends a page's request as the Fetch standard says, sections 4.8 to 4.10. */
export async function fetchAsBrowser(server: TestServer, ask: Ask): Promise<Outcome> {
  if (needsPreflight(ask)) {
    const { status, headers } = await sendPreflight(server, ask);
    if (!preflightPasses(ask, status, headers)) return "refused at the preflight";
  }
  const { headers } = await sendActual(server, ask);
  return corsCheck(ask, headers) ? "shared" : "refused at the answer";
}

/** Section 4.8, CORS-preflight fetch, from the step that has the response. */
export function preflightPasses(ask: Ask, status: number, fields: Fields): boolean {
  if (!corsCheck(ask, fields) || status < 200 || status > 299) return false;
  const methods = headerListValues(fields["access-control-allow-methods"]);
  const names = headerListValues(fields["access-control-allow-headers"]);
  if (methods === undefined || names === undefined) return false;
  const wildcard = (list: readonly string[]) => !ask.withCredentials && list.includes("*");
  if (!methods.includes(ask.method) && !SAFELISTED_METHODS.includes(ask.method) && !wildcard(methods)) {
    return false;
  }
  const allowed = names.map((name) => name.toLowerCase());
  if (ask.headers.includes("authorization") && !allowed.includes("authorization")) return false;
  return ask.headers.every((name) => allowed.includes(name) || wildcard(allowed));
}

/** Section 4.10, CORS check. */
export function corsCheck({ origin, withCredentials }: Ask, fields: Fields): boolean {
  const allowed = fields["access-control-allow-origin"];
  if (!withCredentials && allowed === "*") return true;
  if (allowed !== origin) return false;
  return !withCredentials || fields["access-control-allow-credentials"] === "true";
}

/** Section 2.2.2, extract header list values: one member that is no token makes the whole list a failure. */
function headerListValues(value: string | undefined): string[] | undefined {
  const members = (value ?? "").split(",").map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ""));
  const filled = members.filter((member) => member !== "");
  return filled.every((member) => /^[\w!#$%&'*+.^`|~-]+$/.test(member)) ? filled : undefined;
}

export function sendPreflight(server: TestServer, { origin, method, headers }: Ask) {
  const asked = headers.length === 0 ? {} : { "Access-Control-Request-Headers": headers.join(",") };
  return send(server, "OPTIONS", { Origin: origin, "Access-Control-Request-Method": method, ...asked });
}

export async function sendActual(server: TestServer, { origin, method, headers, withCredentials }: Ask) {
  const fields: Record<string, string> = { Origin: origin };
  for (const name of headers) fields[name] = name === "content-type" ? "application/json" : "1";
  if (withCredentials) fields.Cookie = "session=1";
  if (method === method.toUpperCase()) return send(server, method, fields);
  // Node's client would send it in upper case; a browser does so for GET, HEAD, POST, PUT, DELETE and OPTIONS only.
  const lines = Object.entries({ Host: "a", ...fields }).map(([name, value]) => `${name}: ${value}\r\n`);
  const { text } = await raw(server.port, `${method} / HTTP/1.1\r\n${lines.join("")}\r\n`, 1_000);
  return parsed(text);
}

async function send({ port }: TestServer, method: string, headers: Record<string, string>) {
  return new Promise<{ status: number; headers: Fields }>((resolve, reject) => {
    http
      .request({ port, host: "127.0.0.1", method, headers, agent: false }, (res) => {
        const joined = Object.entries(res.headersDistinct).map(([name, all]) => [name, all?.join(", ")]);
        res.resume();
        res.on("end", () =>
          resolve({ status: res.statusCode!, headers: Object.fromEntries(joined) as Fields }),
        );
      })
      .on("error", reject)
      .end();
  });
}

function parsed(text: string): { status: number; headers: Fields } {
  const [first, ...lines] = text.split("\r\n\r\n")[0]!.split("\r\n");
  const fields = lines.map((line) => line.split(/: ?(.*)/s));
  return {
    status: Number(first!.split(" ")[1]),
    headers: Object.fromEntries(fields.map(([name, value]) => [name!.toLowerCase(), value!])),
  };
}
