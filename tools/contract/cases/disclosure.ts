import { type Answer, fail, get, header, type Request } from "../message.js";
import type { Plan } from "../plan.js";
import { anyPath, type Check, MISSING } from "./case.js";

/** What must not be in an error. */
const LEAKS: readonly (readonly [RegExp, string])[] = [
  [/\bat (?:async )?(?:new )?[^\n]{0,200}?\(?(?:file:\/\/|\/|[A-Z]:\\|node:)[^\s()]+:\d+:\d+/, "a stack"],
  [/(?:\/|\\)node_modules(?:\/|\\)[^\s"'<]*/, "a path within node_modules"],
  [
    /(?<![\w.-]|(?:src|href)=["']?)(?:file:\/\/|\/(?:home|usr|var|srv|opt|app|root|Users|tmp|work)\/)[^\s"'<:]*\.[cm]?[jt]sx?\b/,
    "a source file's path",
  ],
  [/[A-Z]:\\[^\s"'<:]*\.[cm]?[jt]sx?\b/, "a source file's path"],
];

const FORMS = ["application/json", "text/html", "text/plain", "*/*"];

/** What answers show of the server. */
export function disclosure(plan: Plan): Check[] {
  const { failing, upload } = plan;
  const list: Check[] = [
    {
      name: "no answer names the software and its version",
      async check(client) {
        const paths = new Set([anyPath(plan), MISSING, ...(failing ? [failing.path] : [])]);
        for (const path of paths) namesNothing(get(path), await client.ask(get(path)));
      },
    },
    {
      name: "a 404 shows nothing of the app's inside",
      async check(client) {
        for (const Accept of FORMS) {
          const request = get(MISSING, { Accept });
          showsNothing(plan, request, await client.ask(request));
        }
      },
    },
    {
      name: "a URL that cannot be decoded is a client's error, and shows nothing of the app's inside",
      async check(client) {
        const request = get("/%c0%af%zz");
        const answer = await client.ask(request);
        showsNothing(plan, request, answer);
        if (answer.status >= 400 && answer.status < 500) return;
        fail(`An error of the client is answered with ${answer.status}.`, request, answer);
      },
    },
    {
      name: "a 404 does not make markup of its URL",
      async check(client) {
        const request = get(`${MISSING}/%3Cscript%3Econtract`, { Accept: "text/html" });
        const answer = await client.ask(request);
        const isHtml = /\bhtml\b/i.test(header(answer, "Content-Type") ?? "html");
        if (!isHtml || !answer.body.includes("<script>contract")) return;
        fail(
          "A link to the app can make it serve a foreign script: the 404 repeats the URL as markup.",
          request,
          answer,
        );
      },
    },
  ];
  if (failing !== undefined) {
    list.push({
      name: `the ${failing.status} of GET ${failing.path} shows nothing of the app's inside`,
      async check(client) {
        for (const Accept of FORMS) {
          const request = get(failing.path, { Accept });
          showsNothing(plan, request, await client.ask(request));
        }
      },
    });
  }
  if (upload !== undefined) {
    list.push({
      name: `the ${upload.status} of ${upload.method} ${upload.path} shows nothing of the app's inside`,
      async check(client) {
        const headers = { ...upload.headers, "Content-Length": String(upload.bytes) };
        const request = { method: upload.method, path: upload.path, headers };
        showsNothing(plan, request, await client.ask(request));
      },
    });
  }
  return list;
}

function showsNothing(plan: Plan, request: Request, answer: Answer): void {
  // In HTML, the line ends and signs of a stack are entities.
  const text = answer.body
    .replaceAll("&nbsp;", " ")
    .replaceAll("&lt;", "<")
    .replaceAll("&#x2F;", "/")
    .replaceAll("<br>", "\n");
  for (const [pattern, what] of LEAKS) {
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) {
      fail(`Every visitor sees ${what} of the server: "${found.trim().slice(0, 80)}".`, request, answer);
    }
  }
  const index = plan.secrets.findIndex((secret) => answer.body.includes(secret));
  if (index !== -1)
    fail(`Every visitor sees what must stay inside: it contains secrets[${index}].`, request, answer);
}

function namesNothing(request: Request, answer: Answer): void {
  for (const name of ["X-Powered-By", "X-AspNet-Version", "X-Runtime"]) {
    const value = header(answer, name);
    if (value !== undefined)
      fail(`Every visitor sees what the app is made with: ${name}: ${value}.`, request, answer);
  }
  const server = header(answer, "Server");
  if (server !== undefined && /\d/.test(server)) {
    fail(`Every visitor sees the version of the server: Server: ${server}.`, request, answer);
  }
}
