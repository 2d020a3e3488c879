import request from "supertest";
import { isNoise } from "../../src/csp-reports/noise.js";
import { normalise } from "../../src/csp-reports/normalise.js";
import { memoryLogger } from "../support/logger.js";
import { CSP, csp, legacy, receiver } from "./support.js";

const judge = (changes: object) => isNoise(normalise({ "csp-report": { ...legacy, ...changes } })!);

const SCHEMES = [
  "chrome-extension",
  "moz-extension",
  "safari-extension",
  "safari-web-extension",
  "ms-browser-extension",
  "webkit-masked-url",
];

it.each(SCHEMES)("%s is noise in each URL field, with or without a colon", (scheme) => {
  for (const field of ["blocked-uri", "source-file", "document-uri"]) {
    for (const url of [scheme, `${scheme}://abc/x.js`, `${scheme}:`, `${scheme.toUpperCase()}://abc`]) {
      expect([field, url, judge({ [field]: url })]).toEqual([field, url, true]);
    }
  }
});

it.each([
  [{ "blocked-uri": "about" }],
  [{ "blocked-uri": "about:blank" }],
  [{ "document-uri": "about:welcome" }],
  [{ "source-file": "view-source" }],
  [{ "document-uri": "chrome-error://chromewebdata/" }],
  [{ "blocked-uri": "data:text/html,chromewebdata" }],
  [{ "document-uri": "data:text/html,chromewebdata" }],
  [{ "source-file": "user-script:1" }],
  [{ "blocked-uri": "webviewprogressproxy:///complete" }],
  [{ "blocked-uri": "gsa://onpageload" }],
  [{ "blocked-uri": "resource://reader/x.css" }],
  [{ "blocked-uri": "https://connect.facebook.net/en_US/iab.autofill.enhanced.js?v=1" }],
  [{ "blocked-uri": "https://connect.facebook.net/de_DE/pcm.js" }],
  [{ "document-uri": "https://app-example.translate.goog/page?_x_tr_sl=de" }],
  [{ "document-uri": "https://translate.googleusercontent.com/translate_c?u=x" }],
  [{ "document-uri": "https://translate.google.com/website" }],
  [{ "blocked-uri": "https://translate.googleapis.com/element/log" }],
  [{ "blocked-uri": "https://translate-pa.googleapis.com/v1/translateHtml" }],
  [{ "blocked-uri": "https://GC.kis.v2.scr.kaspersky-labs.com:443/x/main.js" }],
  [{ "blocked-uri": "https://user@translate.googleapis.com/" }],
])("%j is noise", (changes) => {
  expect(judge(changes)).toBe(true);
});

it.each([
  [{ "blocked-uri": "inline" }],
  [{ "blocked-uri": "eval" }],
  [{ "blocked-uri": "wasm-eval" }],
  [{ "blocked-uri": "trusted-types-sink" }],
  [{ "blocked-uri": "trusted-types-policy" }],
  [{ "blocked-uri": "self" }],
  [{ "blocked-uri": "data" }],
  [{ "blocked-uri": "data:image/png;base64,AAAA" }],
  [{ "blocked-uri": "blob" }],
  [{ "blocked-uri": "" }],
  [{ "blocked-uri": "https://app.example/chrome-extension/x.js" }],
  [{ "blocked-uri": "https://cdn.example/?from=moz-extension://x" }],
  [{ "blocked-uri": "https://about.example/" }],
  [{ "blocked-uri": "about.example" }],
  [{ "blocked-uri": "myapp" }],
  [{ "blocked-uri": "https://connect.facebook.net/en_US/sdk.js" }],
  [{ "blocked-uri": "https://connect.facebook.net/en_US/fbevents.js" }],
  [{ "blocked-uri": "https://nottranslate.googleapis.com/" }],
  [{ "blocked-uri": "https://translate.googleapis.com.evil.example/" }],
  [{ "blocked-uri": "https://evil.example/translate.goog" }],
  [{ "blocked-uri": "https://fonts.googleapis.com/css" }],
  [{ "document-uri": "about", "source-file": "about", "blocked-uri": "inline" }], // Chrome, from a frame with `srcdoc`
  [{ "document-uri": "about", "blocked-uri": "https://evil.example/x.png" }], // Chrome, from one without an address
  [{ "document-uri": "about:srcdoc" }],
  [{ "document-uri": "about:blank" }],
  [{ "document-uri": "http://localhost:3000/" }],
  [{ "source-file": "https://app.example/app.js" }],
])("%j is genuine", (changes) => {
  expect(judge(changes)).toBe(false);
});

it("noise is answered like any report, but not passed on", async () => {
  const logger = memoryLogger();
  const { app, told } = receiver({ logger });
  await request(app)
    .post("/csp-reports")
    .type(CSP)
    .send(csp({ "blocked-uri": "chrome-extension" }))
    .expect(204);
  expect([told, logger.entries]).toEqual([[], []]);
  await request(app).post("/csp-reports").type(CSP).send(csp()).expect(204);
  expect([told.length, logger.entries.length]).toEqual([1, 1]);
});
