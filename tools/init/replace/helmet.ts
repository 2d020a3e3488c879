import { FOREIGN, FOREIGN_POLICY } from "../../../src/security-headers/foreign.js";
import { securityHeaders } from "../../../src/security-headers/index.js";
import { insert, Refusal } from "../edits.js";
import { keyOf } from "../nodes.js";
import { textOf } from "../source.js";
import { isUnknown } from "../static-value.js";
import {
  foreignText,
  type ObjectNode,
  OptionEdits,
  problemOf,
  quoted,
  SOME_ORIGIN,
  type Translate,
  writtenOptions,
} from "./options.js";

/** Options with the same name; helmet has some of their values in an object. */
const POLICIES = new Set([
  "crossOriginEmbedderPolicy",
  "crossOriginOpenerPolicy",
  "crossOriginResourcePolicy",
  "referrerPolicy",
]);
const RENAMED: Readonly<Record<string, string>> = {
  hsts: "strictTransportSecurity",
  frameguard: "frameOptions",
  xFrameOptions: "frameOptions",
};
/** Headers that the preset sends as helmet does: only helmet's default can be left out. */
const FIXED: Readonly<Record<string, readonly unknown[]>> = {
  ...{ xContentTypeOptions: [true], noSniff: [true], xXssProtection: [true], xssFilter: [true] },
  ...{ xDownloadOptions: [true], ieNoOpen: [true], xPoweredBy: [true], hidePoweredBy: [true] },
  ...{ xDnsPrefetchControl: [true, { allow: false }], dnsPrefetchControl: [true, { allow: false }] },
  xPermittedCrossDomainPolicies: [true, { permittedPolicies: "none" }],
  permittedCrossDomainPolicies: [true, { permittedPolicies: "none" }],
};
/** helmet 6 and 7. */
const HALF_A_YEAR = 15_552_000;

export const translateHelmet: Translate = (source, call, around) => {
  const major = around.majorOf("helmet");
  if (major === undefined)
    return new Refusal("helmet's version is not known: it is not installed, and not in package.json");
  if (major < 6)
    return new Refusal(
      `helmet ${major} has other defaults than today's helmet, which preset: "helmet" sends: update helmet first, or compare the headers`,
    );
  const preset = `preset: ${quoted(source, "helmet")}`;
  const oldHsts = `strictTransportSecurity: { maxAge: ${HALF_A_YEAR} }`;
  const [argument] = call.arguments;
  if (argument === undefined) {
    const text = major < 8 ? `{ ${preset}, ${oldHsts} }` : `{ ${preset} }`;
    return { name: "securityHeaders", edits: [insert(call.end! - 1, text)], notes: [] };
  }
  const written = writtenOptions(source, argument);
  if (written instanceof Refusal) return written;
  const { object, values, shared } = written;
  const options = new OptionEdits(source, object);
  const checked: Record<string, unknown> = { preset: "helmet" };
  for (const [key, value] of Object.entries(values)) {
    if (isUnknown(value)) return new Refusal(`what ${key} is, is not written in this file`);
    const name = RENAMED[key] ?? key;
    if (key in FIXED) {
      const isDefault = FIXED[key]!.some((one) => JSON.stringify(one) === JSON.stringify(value));
      if (!isDefault) return new Refusal(foreignText(FOREIGN, "helmet", key));
      options.remove(key);
      continue;
    }
    if (value === true && key !== "crossOriginEmbedderPolicy" && key !== "originAgentCluster") {
      options.remove(key);
      continue;
    }
    if (name !== key) options.rename(key, name);
    if (value === false || (key === "originAgentCluster" && value === true)) checked[name] = value;
    else if (key === "crossOriginEmbedderPolicy" && value === true) {
      options.replaceValue(key, quoted(source, "require-corp"));
      checked[name] = "require-corp";
    } else if (POLICIES.has(key)) {
      const policy = valueIn(options.value(key), "policy");
      if (policy === undefined) return new Refusal(`${key} has not the form that helmet documents`);
      options.replaceValue(key, textOf(source, policy));
      checked[name] = (value as { policy: unknown }).policy;
    } else if (name === "frameOptions") {
      const { action = "sameorigin" } = value as { action?: string };
      const lower = String(action).toLowerCase().replace("same-origin", "sameorigin");
      options.replaceValue(key, quoted(source, lower));
      checked[name] = lower;
    } else if (name === "strictTransportSecurity") {
      if (major < 8 && !("maxAge" in (value as object)))
        return new Refusal(
          `${key} has no maxAge, and the default of helmet ${major} is another one than that of today`,
        );
      checked[name] = value;
    } else if (key === "contentSecurityPolicy") {
      const policy = policyOf(value as Record<string, unknown>);
      if (policy instanceof Refusal) return policy;
      if ("useDefaults" in (value as object)) {
        const inner = new OptionEdits(source, options.value(key) as ObjectNode);
        inner.remove("useDefaults");
        options.edits.push(...inner.edits);
      }
      checked[name] = policy;
    } else return new Refusal(foreignText(FOREIGN, "helmet", key));
  }
  const problem = problemOf(() => securityHeaders(checked));
  if (problem !== undefined) return new Refusal(problem);
  const needsOldHsts = major < 8 && checked.strictTransportSecurity === undefined;
  if (shared !== undefined) {
    if (options.edits.length > 0 || needsOldHsts)
      return new Refusal(`its options would change, and other code uses ${shared} too`);
    const spread = { start: argument.start!, end: argument.end!, text: `{ ${preset}, ...${shared} }` };
    return { name: "securityHeaders", edits: [spread], notes: [] };
  }
  options.add(needsOldHsts ? `${preset}, ${oldHsts}` : preset);
  return { name: "securityHeaders", edits: options.edits, notes: [] };
};

function valueIn(node: unknown, key: string) {
  const object = node as ObjectNode | undefined;
  if (object?.type !== "ObjectExpression" || object.properties.length !== 1) return undefined;
  const property = object.properties.find((one) => keyOf(one) === key);
  return property?.type === "ObjectProperty" ? property.value : undefined;
}

/** helmet's policy with texts that are known only later replaced by a source. */
function policyOf(value: Record<string, unknown>): Record<string, unknown> | Refusal {
  const { useDefaults, directives = {}, ...rest } = value;
  if (useDefaults !== undefined && useDefaults !== true)
    return new Refusal(foreignText(FOREIGN_POLICY, "helmet", "useDefaults"));
  if (isUnknown(directives))
    return new Refusal("the directives are not written as plain values in this file");
  const checked: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(directives as object)) {
    const list: unknown[] = Array.isArray(given) ? given : [given];
    if (list.some((one) => isUnknown(one) && !one.isText))
      return new Refusal(`the directive ${name} has a value that is not written in this file`);
    const known = list.map((one) => (isUnknown(one) ? SOME_ORIGIN : one));
    checked[name] = Array.isArray(given) ? known : known[0];
  }
  return { ...rest, directives: checked };
}
