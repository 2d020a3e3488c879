import { style } from "./style.js";

interface OtherOptions {
  readonly apiOrigin: string;
  readonly nonce: string;
}

/** The requests of the page, and what the browser should do with each. */
const experiments = [
  { ask: "GET /hello", why: "a simple request, allowed", url: "/hello" },
  { ask: "POST /hello as JSON", why: "preflighted, allowed", url: "/hello", json: { name: "browser" } },
  {
    ask: "POST /hello with 20 kB",
    why: "a 413 that the page can still read",
    url: "/hello",
    json: { name: "x".repeat(20_000) },
  },
  { ask: "GET /panic", why: "a 500 that the page can still read", url: "/panic" },
  { ask: "GET /nothing-here", why: "a 404 that the page can still read", url: "/nothing-here" },
  { ask: "GET /admin without credentials", why: "a 401 that the page can still read", url: "/admin" },
  {
    ask: "GET /admin with a token",
    why: "preflighted before the auth check sees it",
    url: "/admin",
    headers: { Authorization: "Bearer demo-reader" },
  },
  { ask: "GET /open", why: "open to every origin", url: "/open" },
  {
    ask: "GET /partners",
    why: "refused: only https://partner.example may read it",
    url: "/partners",
    refused: true,
  },
  {
    ask: "PURGE /hello",
    why: "refused by its preflight: the method is not allowed",
    url: "/hello",
    method: "PURGE",
    refused: true,
  },
];

const script = `
  const api = document.currentScript.dataset.api;
  const rows = document.querySelector("tbody");
  async function attempt({ url, method, headers, json }) {
    const init = { method: method ?? (json ? "POST" : "GET"), headers: { ...headers } };
    if (json) { init.body = JSON.stringify(json); init.headers["Content-Type"] = "application/json"; }
    try {
      const response = await fetch(api + url, init);
      const text = (await response.text()).trim();
      return { read: true, text: response.status + " " + text.slice(0, 90) + (text.length > 90 ? "\\u2026" : "") };
    } catch (error) {
      return { read: false, text: "the browser hides the response from this page (" + error.message + ")" };
    }
  }
  async function run() {
    rows.replaceChildren();
    for (const experiment of JSON.parse(document.querySelector("#experiments").textContent)) {
      const { read, text } = await attempt(experiment);
      const row = rows.insertRow();
      row.insertCell().textContent = experiment.ask;
      row.insertCell().textContent = experiment.why;
      const outcome = row.insertCell();
      outcome.textContent = text;
      outcome.className = read === !experiment.refused ? "good" : "bad";
    }
    document.body.dataset.done = "true";
  }
  document.querySelector("#again").addEventListener("click", run);
  run();
`;

export function otherPage({ apiOrigin, nonce }: OtherOptions): string {
  const data = JSON.stringify(experiments).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Another origin</title><style nonce="${nonce}">${style}</style></head>
<body>
<h1>Another origin</h1>
<p>This page has another origin than the API: the browser asks the API at <a href="${apiOrigin}/">${apiOrigin}</a> whether it may
read the responses. Green is the expected result; the browser explains refusals in its console.</p>
<p><button id="again">Run again</button></p>
<table><thead><tr><th>Request</th><th>What should happen</th><th>What the page sees</th></tr></thead><tbody></tbody></table>
<h2>A form</h2>
<p>A page of any site can send a form to the API, and the browser adds the visitor's cookies. This one is refused with 403, and the
answer says why. The same form on <a href="${apiOrigin}/">the API's own page</a> works.</p>
<form id="forged" method="post" action="${apiOrigin}/transfer">
<p><input name="amount" value="5" size="5"> <button>Transfer</button></p>
</form>
<script type="application/json" id="experiments" nonce="${nonce}">${data}</script>
<script nonce="${nonce}" data-api="${apiOrigin}">${script}</script>
</body>
</html>
`;
}
