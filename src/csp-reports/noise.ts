import type { ViolationReport } from "./normalise.js";
import { placeOf, schemeOf } from "./url.js";

/** Whose they are: extensions, the browser itself, and apps that show pages in a window of their own. */
const FOREIGN_SCHEMES: ReadonlySet<string> = new Set([
  "chrome-extension",
  "moz-extension",
  "safari-extension",
  "safari-web-extension",
  "ms-browser-extension",
  "webkit-masked-url", // Safari, for an extension that it does not name
  "se-extension",
  "mxaddon-pkg",
  "user-script",
  "about",
  "chrome",
  "chrome-error",
  "chromenull",
  "chromeinvoke",
  "chromeinvokeimmediate",
  "resource",
  "view-source", // Firefox, for its own styles in that view
  "jar",
  "android-webview",
  "android-webview-video-poster",
  "webviewprogressproxy",
  "gsa", // the Google app
  "fb",
  "fbrpc",
  "instagram",
  "weixin",
  "bdjs",
  "baiduboxapp",
  "mttbrowser",
  "jsbridge",
  "wvjbscheme",
]);

/** Hosts, and all below them, that show other people's pages under a name of their own. */
const PROXIES = [
  "translate.goog",
  "translate.google.com",
  "translate.googleusercontent.com",
  "webcache.googleusercontent.com",
  "translated.turbopages.org",
  "translate.yandex.net",
  "translatetheweb.com",
  "microsofttranslator.com",
];

/** Hosts whose scripts browsers, translators and virus scanners put into pages. */
const INJECTORS = [
  "translate.google.com",
  "translate.googleapis.com",
  "translate-pa.googleapis.com",
  "scr.kaspersky-labs.com",
];

/** Scripts that the in-app browser of Facebook and Instagram adds; the SDK, which pages load themselves, is another. */
const IN_APP_SCRIPT = /^\/[^/]*\/(?:iab\.[^/]*|pcm\.js)$/;

/** A frame without an address of its own (`srcdoc`, or filled by a script) has the app's policy, and reports as this. */
const FRAME = /^about(?::(?:blank|srcdoc)?)?$/i;

/** What Chrome called its own error page. */
const CHROME_ERROR_PAGE = "data:text/html,chromewebdata";

/** Whether a report tells of the browser's surroundings rather than of the app. */
export function isNoise({ documentUrl, blockedUrl, sourceFile }: ViolationReport): boolean {
  return (
    isForeign(blockedUrl) ||
    [documentUrl, sourceFile].some((url) => isForeign(url) && !FRAME.test(url!)) ||
    isOn(documentUrl, PROXIES) ||
    [blockedUrl, sourceFile].some((url) => isOn(url, INJECTORS) || isInAppScript(url))
  );
}

function isForeign(url: string | undefined): boolean {
  return url !== undefined && (FOREIGN_SCHEMES.has(schemeOf(url)) || url === CHROME_ERROR_PAGE);
}

function isOn(url: string | undefined, hosts: readonly string[]): boolean {
  const host = url === undefined ? undefined : placeOf(url)?.host;
  return host !== undefined && hosts.some((known) => host === known || host.endsWith(`.${known}`));
}

function isInAppScript(url: string | undefined): boolean {
  const place = url === undefined ? undefined : placeOf(url);
  return place?.host === "connect.facebook.net" && IN_APP_SCRIPT.test(place.path);
}
