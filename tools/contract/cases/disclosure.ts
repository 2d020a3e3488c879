import { type Answer, get, header } from "../message.js";
import type { Plan } from "../plan.js";
import { anyPath, type Check, judge, MISSING } from "./case.js";

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
  const inAllForms = (path: string) => FORMS.map((Accept) => get(path, { Accept }));
  const shown = (answer: Answer) => shownInside(plan, answer);
  const list = [
    judge(
      "no answer names the software and its version",
      [...new Set([anyPath(plan), MISSING, ...(failing ? [failing.path] : [])])].map((path) => get(path)),
      namedSoftware,
    ),
    judge("a 404 shows nothing of the app's inside", inAllForms(MISSING), shown),
    judge(
      "a URL that cannot be decoded is a client's error, and shows nothing of the app's inside",
      [get("/%c0%af%zz")],
      (answer) =>
        shown(answer) ??
        ((answer.status < 400 || answer.status > 499) &&
          `An error of the client is answered with ${answer.status}.`),
    ),
    judge(
      "a 404 does not make markup of its URL",
      [get(`${MISSING}/%3Cscript%3Econtract`, { Accept: "text/html" })],
      (answer) =>
        /\bhtml\b/i.test(header(answer, "Content-Type") ?? "html") &&
        answer.body.includes("<script>contract") &&
        "A link to the app can make it serve a foreign script: the 404 repeats the URL as markup.",
    ),
  ];
  if (failing !== undefined) {
    const { path, status } = failing;
    list.push(
      judge(`the ${status} of GET ${path} shows nothing of the app's inside`, inAllForms(path), shown),
    );
  }
  if (upload !== undefined) {
    const { method, path, status, bytes } = upload;
    const request = { method, path, headers: { ...upload.headers, "Content-Length": String(bytes) } };
    list.push(
      judge(`the ${status} of ${method} ${path} shows nothing of the app's inside`, [request], shown),
    );
  }
  return list;
}

function shownInside(plan: Plan, answer: Answer): string | undefined {
  // In HTML, the line ends and signs of a stack are entities.
  const text = answer.body
    .replaceAll("&nbsp;", " ")
    .replaceAll("&lt;", "<")
    .replaceAll("&#x2F;", "/")
    .replaceAll("<br>", "\n");
  for (const [pattern, what] of LEAKS) {
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) {
      return `Every visitor sees ${what} of the server: "${found.trim().slice(0, 80)}".`;
    }
  }
  const index = plan.secrets.findIndex((secret) => answer.body.includes(secret));
  return index === -1
    ? undefined
    : `Every visitor sees what must stay inside: it contains secrets[${index}].`;
}

function namedSoftware(answer: Answer): string | undefined {
  for (const name of ["X-Powered-By", "X-AspNet-Version", "X-Runtime"]) {
    const value = header(answer, name);
    if (value !== undefined) return `Every visitor sees what the app is made with: ${name}: ${value}.`;
  }
  const server = header(answer, "Server");
  return server !== undefined && /\d/.test(server)
    ? `Every visitor sees the version of the server: Server: ${server}.`
    : undefined;
}
