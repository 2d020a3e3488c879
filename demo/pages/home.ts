import { escapeHtml, style } from "./style.js";
import { script as controls, database, load } from "./under-load.js";

interface Section {
  readonly title: string;
  readonly text: string;
  /** Shown below the text. */
  readonly html?: string;
  /** Lines for a shell: `{api}`, `{other}` and `{metrics}` stand for the origins. */
  readonly lines: readonly string[];
}

const violation = `<p><button id="provoke">Provoke a violation</button></p><pre id="report" hidden></pre>`;

const transfer = `<form method="post" action="/transfer"><p><input name="amount" value="5" size="5"> <button>Transfer</button></p></form>`;

/** What to try. A test runs every line. */
export const sections: readonly Section[] = [
  {
    title: "Hello, and the headers of every response",
    text: "Every response has security headers and a request id. The log line is in the terminal that runs the demo.",
    lines: ["curl -i {api}/hello", "curl -i {api}/nothing-here", "curl -s {api}/headers"],
  },
  {
    title: "Recovery: one response for every error",
    text: "A 500 with Connection: close; details only outside production. If a handler fails after the head, the client sees that the body is not whole.",
    lines: [
      "curl -i {api}/panic",
      "curl -i -H 'Accept: text/html' {api}/panic-async",
      "curl -i {api}/panic-late",
      "curl -i {api}/wrapped/panic",
      "head -c 8000000 /dev/zero | curl -i --data-binary @- {api}/upload",
    ],
  },
  {
    title: "Provoke a violation, and see what the browser reports",
    text: "The button requests an image that this page's policy forbids. The browser reports it to /csp-reports. Every format that browsers send becomes the same event. Reports about extensions are dropped.",
    html: violation,
    lines: [
      `curl -i -H 'Content-Type: application/csp-report' -d '{"csp-report": {"blocked-uri": "inline"}}' {api}/csp-reports`,
      `curl -i -H 'Content-Type: application/csp-report' -d '{"csp-report": {"blocked-uri": "chrome-extension"}}' {api}/csp-reports`,
      "curl -s {api}/violations",
    ],
  },
  {
    title: "CORS: allowed, refused, preflighted",
    text: "Only the other origin may read the API, errors too. Every origin may read /open.",
    lines: [
      "curl -i -H 'Origin: {other}' {api}/panic",
      "curl -i -H 'Origin: https://evil.example' {api}/hello",
      "curl -i -X OPTIONS -H 'Origin: {other}' -H 'Access-Control-Request-Method: PUT' {api}/admin",
      "curl -i -X OPTIONS -H 'Origin: https://evil.example' -H 'Access-Control-Request-Method: PUT' {api}/hello",
      "curl -i -X OPTIONS {api}/open",
    ],
  },
  {
    title: "Forged requests",
    text: "This form is the demo's own, and works. The page of the other origin has the same form: csrf refuses it, and says why. For the rest of the API the other origin is trusted; other sites are not. A client that is no browser sends neither header, and passes.",
    html: transfer,
    lines: [
      "curl -i -d amount=5 -H 'Origin: {other}' -H 'Sec-Fetch-Site: same-site' {api}/transfer",
      "curl -i -d amount=5 {api}/transfer",
      `curl -i -H 'Content-Type: application/json' -d '{"name": "page"}' -H 'Origin: {other}' -H 'Sec-Fetch-Site: same-site' {api}/hello`,
      "curl -i -X POST -H 'Origin: https://evil.example' {api}/hello",
    ],
  },
  {
    title: "An upload that is too large",
    text: "POST /hello takes at most 10 kB. A body that is announced as longer is refused before it is sent; one of unknown length is refused at the first byte above the limit, and nothing is buffered.",
    lines: [
      "head -c 20000 /dev/zero | curl -i --data-binary @- {api}/hello",
      "head -c 20000 /dev/zero | curl -i -T - -X POST -H 'Content-Type: application/json' {api}/hello",
    ],
  },
  {
    title: "Other hosts",
    text: "The demo listens only on this machine, but a page of any site could reach it through a name of its own (DNS rebinding). Requests for other hosts are refused before anything else sees them.",
    lines: [
      "curl -i -H 'Host: rebound.example' {api}/hello",
      "curl -i -H 'Host: rebound.example' -H 'X-Forwarded-Host: localhost' {api}/admin",
      "curl -i -H 'Host: user@localhost' {api}/hello",
    ],
  },
  {
    title: "Authentication and authorization",
    text: "All of /admin requires authentication; /admin/audit also requires the role owner.",
    lines: [
      "curl -i {api}/admin",
      "curl -i -H 'Authorization: Bearer demo-reader' {api}/admin",
      "curl -i -u demo:demo-password {api}/admin",
      "curl -i -H 'Authorization: Bearer demo-reader' {api}/admin/audit",
      "curl -i -H 'Authorization: Bearer demo-owner' {api}/admin/audit",
    ],
  },
  {
    title: "Slow handlers, streams, other cores, background work",
    text: "/slow gets a 503 from the timeout. /fib is computed on a worker thread, so /hello stays fast meanwhile. A second later the failure of the background task is in the terminal.",
    lines: [
      "curl -i {api}/slow",
      "curl -sN {api}/stream",
      "curl -s {api}/fib/32",
      "curl -s {api}/fib/99",
      "curl -i {api}/background",
    ],
  },
  {
    title: "A slow page that the cache makes fast",
    text: "The handler of /report takes a second. Cache-Status shows what the cache did: it fetched the report, sent it from the store, fetched another encoding of it, removed it. With --redis redis://127.0.0.1 a second demo (PORT=8090) uses what the first one has stored, if the host is the same, as behind a load balancer.",
    lines: [
      "curl -i {api}/report",
      "curl -I {api}/report",
      "curl -s -D - --compressed {api}/report",
      "curl -i -H 'Host: www.example' {api}/report",
      "curl -i -X POST {api}/report",
    ],
  },
  {
    title: "Under load",
    text: "The button sends three times the requests that the demo can answer, for ten seconds: /work computes for 4 ms. loadShed finds how many it can serve at once and refuses the others at once, so what is served is served in time. Meanwhile /hello is refused too, now and then.",
    html: load,
    lines: ["curl -i {api}/work", "curl -s {metrics}/metrics"],
  },
  {
    title: "The log",
    text: "Secrets in the query are redacted, no client can break a line in two, and a client that leaves is logged as 499.",
    lines: [
      "curl -s '{api}/hello?access_token=s3cret&x=1'",
      "curl -s '{api}/hello?x=%0d%0aa%20forged%20line' -A 'a \"quoted\" agent'",
    ],
  },
];

/** The probes of `serve`. Another test runs them, with the server. */
export const probes: Section = {
  title: "Ready or not",
  text: "The demo depends on a database (there is none, but the check is real). While it is stopped, /readyz says so, and a load balancer sends no requests here; /livez does not change, because a restart would not help.",
  html: database,
  lines: ["curl -i {api}/readyz", "curl -i {api}/livez"],
};

/** Lines that end the process. Another test runs them. */
export const endings: Section = {
  title: "How it ends",
  text: "The request of an uncaught error in a timer is answered. Then the server finishes all other requests and exits with 1: start it again, or run it with --workers 2, where another worker takes over. Ctrl-C drains it too, exits with 0 and prints the report.",
  lines: ["curl -i {api}/panic-timer"],
};

/** Requests an image that the policy forbids, and shows the report of it. */
const script = `
  const button = document.querySelector("#provoke");
  const shown = document.querySelector("#report");
  button.addEventListener("click", async () => {
    const forbidden = "https://forbidden.example/image.png?" + Date.now();
    shown.hidden = false;
    shown.textContent = "waiting for the browser\u2026";
    new Image().src = forbidden;
    for (let i = 0; i < 40; i++) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      const reports = await (await fetch("/violations")).json();
      const report = reports.find(({ blockedUrl }) => blockedUrl === forbidden);
      if (report !== undefined) {
        shown.textContent = JSON.stringify(report, null, 2);
        return;
      }
    }
    shown.textContent = "No report yet: it may have reached another worker, or the browser has not sent it.";
  });
`;

interface HomeOptions {
  readonly ownOrigin: string;
  readonly otherOrigin: string;
  readonly metricsOrigin: string;
  readonly nonce: string;
}

export function homePage({ ownOrigin, otherOrigin, metricsOrigin, nonce }: HomeOptions): string {
  const isSelfMade = ownOrigin.startsWith("https:"); // self-signed: curl needs -k
  const fill = (line: string) =>
    line
      .replace("curl -", isSelfMade ? "curl -k" : "curl -")
      .replaceAll("{api}", ownOrigin)
      .replaceAll("{other}", otherOrigin)
      .replaceAll("{metrics}", metricsOrigin);
  const shown = [...sections, probes, endings].map(
    ({ title, text, html = "", lines }) =>
      `<h2>${escapeHtml(title)}</h2><p>${escapeHtml(text)}</p>${html}<pre>${lines.map(fill).map(escapeHtml).join("\n")}</pre>`,
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>express-portico: the demo</title><style nonce="${nonce}">${style}</style></head>
<body>
<h1>express-portico</h1>
<p>The middleware that every app needs, working together. Copy a line into a shell, or see the same API called by
<a href="${otherOrigin}/">a page of another origin</a> in this browser.</p>
${shown.join("\n")}
<script nonce="${nonce}">${script}${controls}</script>
</body>
</html>
`;
}
