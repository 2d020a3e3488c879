import { allowedHosts } from "../../../src/allowed-hosts/index.js";
import { FOREIGN as ALLOWED_HOSTS } from "../../../src/allowed-hosts/options.js";
import { AUTHENTICATE_FOREIGN } from "../../../src/auth/authenticate-options.js";
import { API_KEY_FOREIGN, BASIC_FOREIGN, BEARER_FOREIGN } from "../../../src/auth/options.js";
import { bodyLimit } from "../../../src/body-limit/index.js";
import { FOREIGN as BODY_LIMIT } from "../../../src/body-limit/options.js";
import { FOREIGN as CACHE } from "../../../src/cache/options.js";
import { FOREIGN as COMPRESS } from "../../../src/compress/options.js";
import { FOREIGN as CONTEXT } from "../../../src/context/options.js";
import { FOREIGN as CORS } from "../../../src/cors/options.js";
import { csrf } from "../../../src/csrf/index.js";
import { FOREIGN as CSRF } from "../../../src/csrf/options.js";
import { health } from "../../../src/health/index.js";
import { FOREIGN as HEALTH } from "../../../src/health/options.js";
import {
  apiKey,
  authenticate,
  basic,
  bearer,
  cache,
  compress,
  cors,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
  serve,
  timeout,
} from "../../../src/index.js";
import { jwt } from "../../../src/jwt/index.js";
import { FOREIGN as JWT } from "../../../src/jwt/options.js";
import { Checker, type ForeignOptions } from "../../../src/lib/config/checker.js";
import { ConfigError, type Problem } from "../../../src/lib/config/config-error.js";
import { loadShed } from "../../../src/load-shed/index.js";
import { FOREIGN as LOAD_SHED } from "../../../src/load-shed/options.js";
import { metrics } from "../../../src/metrics/index.js";
import { FOREIGN as METRICS } from "../../../src/metrics/options.js";
import { FOREIGN as RECOVER } from "../../../src/recover/options.js";
import { FOREIGN as REQUEST_LOG } from "../../../src/request-log/foreign.js";
import { FOREIGN as SECURITY_HEADERS } from "../../../src/security-headers/foreign.js";
import { FOREIGN as SERVE } from "../../../src/serve/options.js";
import { FOREIGN as TIMEOUT } from "../../../src/timeout/options.js";

type Make = (options: never) => unknown;

const tables: [string, Make, ForeignOptions][] = [
  ["authenticate", (options) => authenticate(bearer({ verify: () => true }), options), AUTHENTICATE_FOREIGN],
  ["bearer", bearer, BEARER_FOREIGN],
  ["basic", basic, BASIC_FOREIGN],
  ["apiKey", apiKey, API_KEY_FOREIGN],
  ["jwt", jwt, JWT],
  ["cors", cors, CORS],
  ["csrf", csrf, CSRF],
  ["allowedHosts", (options) => allowedHosts("a.example", options), ALLOWED_HOSTS],
  ["bodyLimit", bodyLimit, BODY_LIMIT],
  ["health", health, HEALTH],
  ["metrics", metrics, METRICS],
  ["loadShed", loadShed, LOAD_SHED],
  ["securityHeaders", securityHeaders, SECURITY_HEADERS],
  ["compress", compress, COMPRESS],
  ["timeout", timeout as Make, TIMEOUT],
  ["requestLog", requestLog, REQUEST_LOG],
  ["recover", recover, RECOVER],
  ["requestContext", requestContext, CONTEXT],
  ["cache", cache, CACHE],
  ["serve", (options) => serve(() => {}, options), SERVE],
];

const rows = tables.flatMap(([name, make, table]) =>
  Object.entries(table).flatMap(([owner, names]) =>
    Object.entries(names).flatMap(([several, ours]) =>
      several.split(" ").map((theirs) => ({ name, make, owner, theirs, ours })),
    ),
  ),
);

/** All problems with one member of the options, which has a value that no option takes. */
async function problemsOf(make: Make, option: string): Promise<readonly Problem[]> {
  try {
    await make({ [option]: Symbol("no value of any option") } as never);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.filter((problem) => problem.option === option);
    throw error;
  }
  return [];
}

it.each(rows)("$name answers $owner's `$theirs` with what it is here", async ({
  make,
  owner,
  theirs,
  ours,
}) => {
  const [problem, ...more] = await problemsOf(make, theirs);
  expect(more).toEqual([]);
  expect(problem?.code).toBe("ERR_PORTICO_FOREIGN_OPTION");
  expect(problem?.reason).toContain(`\`${theirs}\` is `);
  expect(problem?.reason).toContain(`${owner}'s`);
  expect(problem?.reason).toContain("here");
  expect(problem?.reason).toContain(ours);
});

it.each(
  rows.filter(({ ours }) => !ours.includes(" ")),
)("$name has the option `$ours` that it names for $owner's `$theirs`", async ({ make, ours }) => {
  const codes = (await problemsOf(make, ours)).map(({ code }) => code);
  expect(codes).not.toContain("ERR_PORTICO_UNKNOWN_OPTION");
  expect(codes).not.toContain("ERR_PORTICO_FOREIGN_OPTION");
});

describe("a name of other packages", () => {
  const foreign: ForeignOptions = {
    one: { theirs: "ours", both: "ours", known: "ours", constructor: "ours" },
    two: { both: "ours", other: "there is none" },
    three: { both: "something else entirely" },
  };
  const reasonOf = (name: string): string | undefined => {
    const checker = Checker.of("x()", { [name]: 1 }, ["ours", "known"], "", foreign);
    return checker.problems[0]?.reason;
  };

  it.each([
    ["theirs", "`theirs` is one's name; here it is `ours`"],
    ["both", "`both` is one's and two's name; here it is `ours`"],
    ["other", "`other` is two's name; here there is none"],
    ["constructor", "`constructor` is one's name; here it is `ours`"],
    ["toString", "unknown option. The options are ours, known."],
    ["__proto_", "unknown option. The options are ours, known."],
    ["our", 'unknown option. Did you mean "ours"?'],
    ["known", undefined],
  ])("%s: %s", (name, reason) => {
    expect(reasonOf(name)).toBe(reason);
  });

  it("does not print what was given: it may be a secret", () => {
    const checker = Checker.of("x()", { theirs: "hunter2" }, ["ours"], "", foreign);
    expect(() => checker.done()).toThrow(/^(?:(?!hunter2)[\s\S])*$/);
  });
});
