import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CONFIG_ERROR_CODES, ConfigError, pageOf } from "../../../src/lib/config/config-error.js";
import { root } from "../../support/markdown.js";

const page = readFileSync(join(root, "docs/errors.md"), "utf8");
const sections = page.split(/^## /m).slice(1);

describe("docs/errors.md", () => {
  it("has a section for each code, in their order, and no other", () => {
    expect(sections.map((section) => section.split("\n")[0])).toEqual([...CONFIG_ERROR_CODES]);
  });

  it.each([...CONFIG_ERROR_CODES])("says the cause and the remedy of %s", (code) => {
    const section = sections.find((one) => one.startsWith(`${code}\n`))!;
    expect(section).toMatch(/\n\n[A-Z][\s\S]+\n\nRemedy: /);
  });
});

it.each([...CONFIG_ERROR_CODES])("the message of a %s ends with the anchor of its section", (code) => {
  const { message } = new ConfigError("x()", [{ option: "a", value: 1, reason: "is wrong", code }]);
  const [, file, anchor] = /express-portico\/(docs\/errors\.md)#([\w-]+)$/.exec(message)!;
  expect(pageOf(code)).toBe(`express-portico/${file}#${anchor}`);
  expect(file).toBe("docs/errors.md");
  // As GitHub makes an anchor of a heading: lower case, what is no letter, digit, underscore or hyphen left out.
  const anchors = sections.map((section) =>
    section
      .split("\n")[0]!
      .toLowerCase()
      .replace(/[^\w-]/g, ""),
  );
  expect(anchors).toContain(anchor);
});

it("a message with problems of several kinds has the address of each, once", () => {
  const { message, problems } = new ConfigError("x()", [
    { option: "a", value: 1, reason: "is wrong" },
    { option: "b", value: 1, reason: "is wrong too" },
    { option: "c", value: 1, reason: "is none", code: "ERR_PORTICO_UNKNOWN_OPTION" },
  ]);
  expect(message.match(/docs\/errors\.md#\w+$/gm)).toEqual([
    "docs/errors.md#err_portico_invalid_option",
    "docs/errors.md#err_portico_unknown_option",
  ]);
  expect(problems.map(({ code }) => code)).toEqual([
    "ERR_PORTICO_INVALID_OPTION",
    "ERR_PORTICO_INVALID_OPTION",
    "ERR_PORTICO_UNKNOWN_OPTION",
  ]);
});
