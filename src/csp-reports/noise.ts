import { words } from "../lib/values/words.js";
import type { ViolationReport } from "./normalise.js";

/** Schemes of extensions, of the browser itself, and of apps that show pages in a web view. */
const FOREIGN_SCHEMES: ReadonlySet<string> = new Set(
  words(
    "chrome-extension moz-extension safari-extension safari-web-extension ms-browser-extension",
    "webkit-masked-url se-extension mxaddon-pkg user-script about chrome chrome-error chromenull",
    "chromeinvoke chromeinvokeimmediate resource view-source jar android-webview",
    "android-webview-video-poster webviewprogressproxy gsa fb fbrpc instagram weixin bdjs baiduboxapp",
    "mttbrowser jsbridge wvjbscheme",
  ),
);

/** Translators and caches that show pages of other sites; their subdomains do too. */
const PROXIES = words(
  "translate.goog translate.google.com translate.googleusercontent.com webcache.googleusercontent.com",
  "translated.turbopages.org translate.yandex.net translatetheweb.com microsofttranslator.com",
);

/** Hosts whose scripts translators and virus scanners add to pages. */
const INJECTORS = words(
  "translate.google.com translate.googleapis.com translate-pa.googleapis.com scr.kaspersky-labs.com",
);

/** Scripts that the in-app browsers of Facebook and Instagram add; the path of the SDK, which pages load, is another. */
const IN_APP_SCRIPT = /^\/[^/]*\/(?:iab\.[^/]*|pcm\.js)$/;

/** Frames without an address (`srcdoc`, or filled by a script) have the app's policy, and report this as their URL. */
const FRAME = /^about(?::(?:blank|srcdoc)?)?$/i;

/** The error page of older Chrome versions. */
const CHROME_ERROR_PAGE = "data:text/html,chromewebdata";

/** Whether a report is about extensions, the browser or other apps, and not about this app. */
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

/** The scheme in lower case; some browsers report only the scheme, without a colon: `chrome-extension`. */
function schemeOf(url: string): string {
  return /^[^:/?#]*/.exec(url)![0].toLowerCase();
}

/** The host in lower case and the path; undefined for other schemes than http and ws. */
function placeOf(url: string): { readonly host: string; readonly path: string } | undefined {
  const match = /^(?:https?|wss?):\/\/([^/?#]*)([^?#]*)/i.exec(url);
  if (match === null) return undefined;
  const authority = match[1]!.slice(match[1]!.lastIndexOf("@") + 1);
  return { host: authority.replace(/:\d*$/, "").toLowerCase(), path: match[2]! };
}
