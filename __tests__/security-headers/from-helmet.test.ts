import { readFileSync } from "node:fs";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { FOREIGN, FOREIGN_POLICY } from "../../src/security-headers/foreign.js";
import { securityHeaders } from "../../src/security-headers/index.js";
import { blocks, root } from "../support/markdown.js";

function problemsOf(options: unknown): ConfigError["problems"] {
  try {
    securityHeaders(options as never);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

/** The names in helmet's own declaration of its function: one for each header, old names too. */
function helmetsOptions(): string[] {
  const declared = readFileSync(require.resolve("helmet").replace(/index\.cjs$/, "index.d.cts"), "utf8");
  const [, members] = /^type Helmet = \{(.*?)^\}/ms.exec(declared)!;
  return [...members!.matchAll(/^\s*(\w+): typeof /gm)].map(([, name]) => name!);
}

it("every option that helmet declares is an option here, or the error says what to write", () => {
  const names = helmetsOptions();
  expect(names.length).toBeGreaterThan(15);
  for (const name of names) {
    const codes = problemsOf({ [name]: undefined }).map(({ code }) => code);
    const known = codes.length === 0;
    expect([name, codes]).toEqual([name, known ? [] : ["ERR_PORTICO_FOREIGN_OPTION"]]);
    expect([name, known]).toEqual([name, !Object.hasOwn(FOREIGN.helmet!, name)]);
  }
});

it.each(Object.entries(FOREIGN_POLICY.helmet!))("so is contentSecurityPolicy.%s", (name, instead) => {
  const [problem] = problemsOf({ contentSecurityPolicy: { [name]: true } });
  expect(problem).toMatchObject({
    code: "ERR_PORTICO_FOREIGN_OPTION",
    option: `contentSecurityPolicy.${name}`,
  });
  expect(problem!.reason).toContain(instead);
});

it.each<[string, unknown, unknown]>([
  ["referrerPolicy", { policy: "no-referrer" }, "no-referrer"],
  ["referrerPolicy", { policy: ["origin", "no-referrer"] }, ["origin", "no-referrer"]],
  ["frameOptions", { action: "deny" }, "deny"],
  ["frameOptions", { action: "SAMEORIGIN" }, "sameorigin"],
  ["frameOptions", { action: "same-origin" }, "sameorigin"],
  ["crossOriginOpenerPolicy", { policy: "unsafe-none" }, "unsafe-none"],
  ["crossOriginResourcePolicy", { policy: "same-site" }, "same-site"],
  ["crossOriginEmbedderPolicy", { policy: "require-corp" }, "require-corp"],
])("%s: %j is answered with the value in our form, which is accepted", (option, theirs, ours) => {
  const [problem, ...more] = problemsOf({ [option]: theirs });
  expect(more).toEqual([]);
  expect(problem!.reason).toContain(`That is helmet's form; here write ${option}: ${JSON.stringify(ours)}`);
  expect(problemsOf({ [option]: ours })).toEqual([]);
});

it("a value that is not in helmet's form gets no such advice", () => {
  for (const [option, value] of [
    ["frameOptions", { action: "maybe" }],
    ["referrerPolicy", { policy: 5 }],
    ["crossOriginOpenerPolicy", {}],
  ] as const) {
    expect(problemsOf({ [option]: value })[0]!.reason).not.toContain("helmet");
  }
});

it("the steps in README for coming from helmet change nothing for pages", () => {
  const diff = blocks("README.md").find(
    ({ info, code }) => info === "diff" && code.includes("-import helmet"),
  )!;
  expect(diff.code).toContain('+  headers: { preset: "helmet" },');
  expect(readFileSync(`${root}/README.md`, "utf8")).toContain("docs/security-headers.md#from-helmet");
});
