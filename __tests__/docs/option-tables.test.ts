import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { OPTIONS as ALLOWED_HOSTS } from "../../src/allowed-hosts/options.js";
import { AUTHENTICATE_OPTIONS } from "../../src/auth/authenticate-options.js";
import { API_KEY_OPTIONS, BASIC_OPTIONS, BEARER_OPTIONS } from "../../src/auth/options.js";
import { OPTIONS as BACKGROUND } from "../../src/background/options.js";
import { OPTIONS as BODY_LIMIT } from "../../src/body-limit/options.js";
import { OPTIONS as CACHE } from "../../src/cache/options.js";
import { OPTIONS as MEMORY_STORE } from "../../src/cache/stores/memory.js";
import { OPTIONS as REDIS_STORE } from "../../src/cache/stores/redis.js";
import { OPTIONS as COMPRESS } from "../../src/compress/options.js";
import { OPTIONS as CONTEXT } from "../../src/context/options.js";
import { OPTIONS as CORS } from "../../src/cors/options.js";
import { OPTIONS as CSP_REPORTS } from "../../src/csp-reports/options.js";
import { OPTIONS as CSRF } from "../../src/csrf/options.js";
import { OPTIONS as HEALTH } from "../../src/health/options.js";
import { OPTIONS as JWT } from "../../src/jwt/options.js";
import { readOptions, type Schema } from "../../src/lib/config/schema.js";
import { CHECK } from "../../src/lib/health/options.js";
import { OPTIONS as LOAD_SHED } from "../../src/load-shed/options.js";
import { OPTIONS as METRICS } from "../../src/metrics/options.js";
import { OPTIONS as NOT_FOUND } from "../../src/not-found.js";
import { OPTIONS as OFFLOAD } from "../../src/offload/options.js";
import { OPTIONS as PORTICO } from "../../src/portico-options.js";
import { OPTIONS as RECOVER } from "../../src/recover/options.js";
import { REDACT, OPTIONS as REQUEST_LOG } from "../../src/request-log/options.js";
import { OPTIONS as SECURITY_HEADERS } from "../../src/security-headers/options.js";
import { DRAIN, PROBES, OPTIONS as SERVE } from "../../src/serve/plan.js";
import { OPTIONS as TIMEOUT } from "../../src/timeout/options.js";
import {
  OPTIONS as CONTRACT,
  CORS as CONTRACT_CORS,
  METRICS as CONTRACT_METRICS,
  LOG,
  ROUTES,
} from "../../tools/contract/plan.js";
import { OPTIONS as INSPECT } from "../../tools/inspector/options.js";
import { pages, root } from "../support/markdown.js";

/** A table of options: the interface with their types and doc comments, and the schema that reads them. */
interface Declared {
  /** Heading in the page, where it has several tables. */
  readonly page: string;
  readonly file: string;
  readonly type: string;
  readonly schema: () => Schema;
  /** Options whose members have rows of their own: `drain.delayMs`. */
  readonly nested?: Readonly<Record<string, readonly [type: string, schema: () => Schema]>>;
  /** Options whose value in the plan is not the default as the page writes it: computed, or compiled to something else. */
  readonly computed?: readonly string[];
}

/** In the order of the tables in each page. */
const declared: readonly Declared[] = [
  {
    page: "docs/allowed-hosts.md",
    file: "src/allowed-hosts/options.ts",
    type: "AllowedHostsOptions",
    schema: ALLOWED_HOSTS,
    computed: ["explain"],
  },
  {
    page: "docs/load-shed.md",
    file: "src/load-shed/options.ts",
    type: "LoadShedOptions",
    schema: LOAD_SHED,
  },
  {
    page: "docs/csrf.md",
    file: "src/csrf/options.ts",
    type: "CsrfOptions",
    schema: CSRF,
    computed: ["trustedOrigins", "explain"],
  },
  {
    page: "docs/auth.md",
    file: "src/auth/authenticate-options.ts",
    type: "AuthenticateOptions",
    schema: AUTHENTICATE_OPTIONS,
  },
  {
    page: "docs/auth.md",
    file: "src/auth/options.ts",
    type: "BearerOptions",
    schema: BEARER_OPTIONS,
    computed: ["prefix"],
  },
  { page: "docs/auth.md", file: "src/auth/options.ts", type: "BasicOptions", schema: BASIC_OPTIONS },
  { page: "docs/auth.md", file: "src/auth/options.ts", type: "ApiKeyOptions", schema: API_KEY_OPTIONS },
  {
    page: "docs/background.md",
    file: "src/background/options.ts",
    type: "BackgroundOptions",
    schema: BACKGROUND,
  },
  {
    page: "docs/body-limit.md",
    file: "src/body-limit/options.ts",
    type: "BodyLimitOptions",
    schema: BODY_LIMIT,
    computed: ["limit"],
  },
  {
    page: "docs/cache.md",
    file: "src/cache/options.ts",
    type: "CacheOptions",
    schema: CACHE,
    computed: ["store"],
  },
  {
    page: "docs/cache.md",
    file: "src/cache/stores/memory.ts",
    type: "MemoryStoreOptions",
    schema: MEMORY_STORE,
    computed: ["maxBytes"],
  },
  {
    page: "docs/cache.md",
    file: "src/cache/stores/redis.ts",
    type: "RedisStoreOptions",
    schema: REDIS_STORE,
  },
  { page: "docs/compress.md", file: "src/compress/options.ts", type: "CompressOptions", schema: COMPRESS },
  { page: "docs/context.md", file: "src/context/options.ts", type: "RequestContextOptions", schema: CONTEXT },
  {
    page: "docs/cors.md",
    file: "src/cors/options.ts",
    type: "CorsOptions",
    schema: CORS,
    computed: ["origin", "methods", "allowedHeaders", "explain"],
  },
  {
    page: "docs/csp-reports.md",
    file: "src/csp-reports/options.ts",
    type: "CspReportsOptions",
    schema: CSP_REPORTS,
  },
  {
    page: "docs/health.md",
    file: "src/health/options.ts",
    type: "HealthOptions",
    schema: HEALTH,
    computed: ["checks"],
  },
  {
    page: "docs/health.md",
    file: "src/lib/health/options.ts",
    type: "HealthCheckOptions",
    schema: CHECK,
    computed: ["check"],
  },
  { page: "docs/metrics.md", file: "src/metrics/options.ts", type: "MetricsOptions", schema: METRICS },
  {
    page: "docs/inspector.md",
    file: "tools/inspector/options.ts",
    type: "InspectOptions",
    schema: INSPECT,
  },
  { page: "docs/jwt.md", file: "src/jwt/options.ts", type: "JwtOptions", schema: JWT, computed: ["prefix"] },
  {
    page: "docs/offload.md",
    file: "src/offload/options.ts",
    type: "OffloadOptions",
    schema: OFFLOAD,
    computed: ["threads", "maxQueue"],
  },
  { page: "docs/portico.md", file: "src/portico-options.ts", type: "PorticoOptions", schema: PORTICO },
  { page: "docs/portico.md", file: "src/not-found.ts", type: "NotFoundOptions", schema: NOT_FOUND },
  { page: "docs/recover.md", file: "src/recover/options.ts", type: "RecoverOptions", schema: RECOVER },
  {
    page: "docs/request-log.md",
    file: "src/request-log/options.ts",
    type: "RequestLogOptions",
    schema: REQUEST_LOG,
    nested: { redact: ["RedactOptions", REDACT] },
    computed: ["format", "slowMs"],
  },
  {
    page: "docs/security-headers.md",
    file: "src/security-headers/options.ts",
    type: "SecurityHeadersOptions",
    schema: SECURITY_HEADERS,
    computed: ["crossOriginResourcePolicy", "cacheControl", "originAgentCluster"],
  },
  {
    page: "docs/serve.md",
    file: "src/serve/options.ts",
    type: "ServeOptions",
    schema: SERVE,
    nested: { drain: ["DrainOptions", DRAIN], probes: ["Probes", PROBES] },
  },
  {
    page: "docs/testing.md",
    file: "tools/contract/expectations.ts",
    type: "Expectations",
    schema: () => CONTRACT([]),
    nested: {
      cors: ["CorsExpectations", CONTRACT_CORS],
      routes: ["Routes", () => ROUTES([])],
      log: ["LogExpectations", LOG],
      metrics: ["MetricsExpectations", CONTRACT_METRICS],
    },
  },
  {
    page: "docs/timeout.md",
    file: "src/timeout/options.ts",
    type: "TimeoutOptions",
    schema: TIMEOUT,
    computed: ["ms"],
  },
];

interface Option {
  readonly name: string;
  /** As the page and the doc comment write it; empty if there is none. */
  readonly byDefault: string;
}

/** The tables of options in a page. */
function tablesOf(page: string): Option[][] {
  const text = readFileSync(join(root, page), "utf8");
  return [...text.matchAll(/^\| option \| default \| \|\n\| --- .*\n((?:\|.*\n)+)/gm)].map(([, rows]) =>
    rows!
      .trimEnd()
      .split("\n")
      .map((row) => {
        const [, name, byDefault] = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
        return { name: name!.replaceAll("`", ""), byDefault: byDefault! };
      }),
  );
}

interface Member extends Option {
  readonly doc: string;
}

/** The members of an interface, in order, with their doc comments. */
function membersOf(file: string, type: string): Member[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), "utf8"),
    ts.ScriptTarget.Latest,
    true,
  );
  const found = source.statements.filter(ts.isInterfaceDeclaration).find(({ name }) => name.text === type)!;
  return found.members.filter(ts.isPropertySignature).map((member) => {
    const tag = ts.getJSDocTags(member).find(({ tagName }) => tagName.text === "defaultValue");
    const [comment] = ts.getJSDocCommentsAndTags(member).filter(ts.isJSDoc);
    return {
      name: member.name.getText(source),
      doc: ts.getTextOfJSDocComment(comment?.comment) ?? "",
      byDefault: (ts.getTextOfJSDocComment(tag?.comment) ?? "").replace(/\s+/g, " "),
    };
  });
}

/** The members, those with rows of their own in their place. */
function rowsOf<Row extends { readonly name: string }>(
  own: readonly Row[],
  nested: Declared["nested"] = {},
  rowsWithin: (entry: readonly [type: string, schema: () => Schema]) => readonly Row[],
): Row[] {
  return own.flatMap((row) => {
    const entry = nested[row.name];
    if (entry === undefined) return [row];
    return rowsWithin(entry).map((inner) => ({ ...inner, name: `${row.name}.${inner.name}` }));
  });
}

const namesOf = (schema: () => Schema) => Object.keys(schema()).map((name) => ({ name }));

describe.each(declared)("the options of $type", ({ page, file, type, schema, nested, computed = [] }) => {
  const place = declared.filter((other) => other.page === page).findIndex((other) => other.type === type);
  const table = tablesOf(page)[place] ?? [];
  const members = rowsOf(membersOf(file, type), nested, ([inner]) => membersOf(file, inner));

  it("are the same in the page, the type and the schema, in one order", () => {
    const read = rowsOf(namesOf(schema), nested, ([, inner]) => namesOf(inner));
    const names = members.map(({ name }) => name);
    expect(table.map(({ name }) => name)).toEqual(names);
    expect(read.map(({ name }) => name)).toEqual(names);
  });

  it("have the same defaults in the page and in the doc comment", () => {
    expect(table).toEqual(members.map(({ name, byDefault }) => ({ name, byDefault })));
  });

  it("have a doc comment each", () => {
    expect(members.filter(({ doc }) => doc === "").map(({ name }) => name)).toEqual([]);
  });

  it("have the default that the page says", () => {
    const plan = rowsOf(entriesOf(schema), nested, ([, inner]) => entriesOf(inner));
    for (const { name, value } of plan.filter((one) => !computed.includes(one.name))) {
      const { byDefault } = members.find((member) => member.name === name)!;
      const [, literal] = /^`([^`]+)`(?:$|[:,])/.exec(byDefault) ?? [];
      const documented: unknown = literal === undefined ? undefined : new Function(`return (${literal})`)();
      if (literal !== undefined || ["string", "number", "boolean"].includes(typeof value))
        expect({ name, value }).toEqual({ name, value: documented });
    }
  });
});

/** The plan of options that are left out. */
function entriesOf(schema: () => Schema): { name: string; value: unknown }[] {
  const { plan } = readOptions("x()", schema, {});
  return Object.entries(plan).map(([name, value]) => ({ name, value }));
}

it("each table of options in a page has its type and schema here", () => {
  const known = declared.map(({ page }) => page).sort();
  expect(
    pages()
      .flatMap((page) => tablesOf(page).map(() => page))
      .sort(),
  ).toEqual(known);
});
