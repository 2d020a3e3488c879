import type { Place } from "../client.js";
import { fail, get, members, type Request } from "../message.js";
import type { Plan } from "../plan.js";
import { type Check, judge } from "./case.js";

const OTHER_SITE = "https://contract.example";
const OTHER_HOST = "contract.example";

/** What a form can send without a preflight, and a body without a type. */
const FORM_TYPES = [
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "text/plain",
  undefined,
];

/** Pages of other sites can send forms, and the browser adds the visitor's cookies. */
export function forgeries({ changing }: Plan): Check[] {
  if (changing === undefined) return [];
  const { method, path, headers } = changing;
  const send = (more: Record<string, string>): Request => ({
    method,
    path,
    headers: { ...headers, "Content-Length": "0", ...more },
  });
  const forged: Record<string, string>[] = [
    { Origin: OTHER_SITE, "Sec-Fetch-Site": "cross-site" },
    { Origin: "null", "Sec-Fetch-Site": "cross-site" }, // of a sandboxed frame
    { Origin: OTHER_SITE }, // of an older browser, or over plain HTTP
  ];
  const requests = forged.flatMap((fields) =>
    FORM_TYPES.map((type) => send({ ...fields, ...(type !== undefined && { "Content-Type": type }) })),
  );
  return [
    judge(`${method} ${path} is refused if a page of another site sends it`, requests, ({ status }) =>
      status >= 400 && status < 500
        ? undefined
        : `A page of any site can make a browser send this, with the visitor's cookies: it is answered with ${status}.`,
    ),
    {
      name: `${method} ${path} is not refused if the app's own page sends it, or no browser`,
      async check(client) {
        const own = { Origin: originOf(client.place) };
        for (const fields of [{ ...own, "Sec-Fetch-Site": "same-origin" }, own, {}]) {
          const request = send(fields);
          const answer = await client.ask(request);
          if (![403, 404, 405].includes(answer.status)) continue;
          fail(
            `The app's own page, or a client that is no browser, gets a ${answer.status}.`,
            request,
            answer,
          );
        }
      },
    },
  ];
}

function originOf({ host, port, isSecure }: Place): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return new URL(`${isSecure ? "https" : "http"}://${name}:${port}`).origin;
}

/** A page of any site can reach a server through a name of its own, which the browser sends as Host (DNS rebinding). */
export function hosts(plan: Plan): Check[] {
  if (!plan.hosts) return [];
  const path = plan.ok ?? "/";
  const wrong = ({ status }: { readonly status: number }) =>
    status >= 400 && status < 500 ? undefined : `The app answers for a host that is not its own: ${status}.`;
  return [
    judge("a request for another host is refused", [get(path, { Host: OTHER_HOST })], wrong),
    {
      name: "another host is refused if the client says in a header that it is the app's own",
      async check(client) {
        const own = new URL(originOf(client.place)).host;
        for (const name of ["X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"]) {
          const request = get(path, {
            Host: OTHER_HOST,
            [name]: name === "Forwarded" ? `host="${own}"` : own,
          });
          const answer = await client.ask(request);
          const message = wrong(answer);
          if (message !== undefined) fail(message, request, answer);
        }
      },
    },
    // In lower case it is beside the client's own Host: two fields.
    judge(
      "a request with two hosts, or a malformed one, is refused",
      [get(path, { host: OTHER_HOST }), get(path, { Host: `${OTHER_HOST}, ${OTHER_HOST}` })],
      wrong,
    ),
  ];
}

/** Node's parser knows the method, and no route has it. */
const UNKNOWN_METHOD = "UNLOCK";

export function methods({ ok, methodNotAllowed }: Plan): Check[] {
  if (ok === undefined || !methodNotAllowed) return [];
  return [
    judge(
      `${ok} answers a method that it does not have with 405 and Allow`,
      [{ ...get(ok), method: UNKNOWN_METHOD }],
      (answer) => {
        if (answer.status !== 405)
          return `A client gets a ${answer.status}: RFC 9110, 15.5.6 asks for 405 if the path has other methods.`;
        return !members(answer, "Allow").includes("get") && "The 405 does not say in Allow what is there.";
      },
    ),
  ];
}
