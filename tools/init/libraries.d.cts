export { parse, parseExpression } from "@babel/parser";
export { structuredPatch } from "diff";
export { default as MagicString } from "magic-string";
