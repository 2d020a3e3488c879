import type { Detail } from "../report.js";

/** Set by curl itself, or wrong when sent again. */
const NOT_SENT = /^(?:host|content-length|transfer-encoding|accept-encoding|keep-alive|te|http2-settings)$/i;
const OF_UPGRADE = /^(?:connection|upgrade)$/i;

/** A command for a shell. Hidden values become variables, for you to set. */
export function curlOf({ summary, scheme, host, requestHeaders, httpVersion }: Detail): string {
  const { method, path, query } = summary;
  const url = `${scheme}://${host ?? "localhost"}${path}${query === undefined ? "" : `?${query}`}`;
  const parts = [
    "curl -i",
    ...(method === "GET" ? [] : method === "HEAD" ? ["--head"] : [`-X ${quoted(method)}`]),
  ];
  const isUpgrade = requestHeaders.some(({ name }) => /^upgrade$/i.test(name));
  if (httpVersion.startsWith("2")) parts.push("--http2");
  else if (isUpgrade) parts.push("--http1.1");
  parts.push(quoted(url));
  for (const { name, value, hidden } of requestHeaders) {
    if (/^accept-encoding$/i.test(name)) parts.push("--compressed");
    if (NOT_SENT.test(name) || (!isUpgrade && OF_UPGRADE.test(name))) continue;
    parts.push(
      hidden
        ? `-H ${quoted(`${name}: `)}"$${name.toUpperCase().replace(/[^A-Z0-9]/g, "_")}"`
        : `-H ${quoted(`${name}: ${value}`)}`,
    );
  }
  const hasBody = requestHeaders.some(({ name, value }) => /^content-length$/i.test(name) && value !== "0");
  if (hasBody) parts.push("--data-binary @body # the inspector keeps no bodies");
  return parts.join(" \\\n  ");
}

function quoted(text: string): string {
  return /^[\w.\-/:=]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** An expectation of `contract` that is about this answer; undefined if there is none. */
export function contractOf(detail: Detail): string | undefined {
  const expectation = expectationOf(detail);
  if (expectation === undefined) return undefined;
  return [
    'import { contract } from "express-portico/testing";',
    "",
    "const cases = contract(app, {",
    ...expectation.map((line) => `  ${line}`),
    "});",
    "for (const { name, run } of cases) test(name, run, 20_000);",
    "",
  ].join("\n");
}

function expectationOf(detail: Detail): string[] | undefined {
  const { summary, fault, calls, answerer } = detail;
  const { path, method, status, marks } = summary;
  const at = JSON.stringify(path);
  const refused = marks.find(({ kind }) => kind === "refused")?.text ?? "";
  const crossOrigin = corsOf(detail);
  if (crossOrigin !== undefined && calls[0]?.kind !== "server" && (method === "OPTIONS" || refused === ""))
    return crossOrigin;
  if (status === undefined || status >= 600 || calls[0]?.kind === "server") return undefined;
  if (refused.startsWith("csrf"))
    return [`routes: { changing: { path: ${at}, method: ${JSON.stringify(method)} } },`];
  if (refused.startsWith("allowedHosts")) return ["hosts: true,"];
  if (refused.startsWith("bodyLimit"))
    return [`routes: { upload: { path: ${at}, method: ${JSON.stringify(method)}, status: ${status} } },`];
  if (marks.some(({ kind }) => kind === "timeout"))
    return [`routes: { slow: { path: ${at}, status: ${status} } },`];
  if (status === 401) return [`routes: { protected: ${at} },`];
  if (fault !== undefined && method === "GET" && status >= 400)
    return [
      `routes: { failing: { path: ${at}, status: ${status} } },`,
      `secrets: [${JSON.stringify(fault.message.slice(0, 200))}],`,
    ];
  if (status === 405 && calls[answerer] !== undefined)
    return [`routes: { ok: ${at} },`, "methodNotAllowed: true,"];
  return method === "GET" && status >= 200 && status < 300 ? [`routes: { ok: ${at} },`] : undefined;
}

function corsOf({ requestHeaders, responseHeaders, summary }: Detail): string[] | undefined {
  const find = (list: readonly { readonly name: string; readonly value: string }[], name: string) =>
    list.find((header) => header.name.toLowerCase() === name)?.value;
  const origin = find(requestHeaders, "origin");
  if (origin === undefined || summary.status === undefined) return undefined;
  const isAllowed = find(responseHeaders, "access-control-allow-origin") !== undefined;
  const method = find(requestHeaders, "access-control-request-method");
  const names = find(requestHeaders, "access-control-request-headers");
  const lines = isAllowed
    ? [`  allowed: ${JSON.stringify(origin)},`]
    : ['  allowed: "https://app.example", // an origin that may', `  refused: ${JSON.stringify(origin)},`];
  if (isAllowed && method !== undefined) lines.push(`  methods: [${JSON.stringify(method)}],`);
  if (isAllowed && names !== undefined) lines.push(`  headers: ${JSON.stringify(names.split(/\s*,\s*/))},`);
  if (find(responseHeaders, "access-control-allow-credentials") === "true")
    lines.push("  credentials: true,");
  return ["cors: {", ...lines, "},"];
}
