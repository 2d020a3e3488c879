/** Each has an entry in docs/errors.md, under a heading that is the code itself. */
export const CONFIG_ERROR_CODES = [
  "ERR_PORTICO_UNKNOWN_OPTION",
  "ERR_PORTICO_FOREIGN_OPTION",
  "ERR_PORTICO_MISSING_OPTION",
  "ERR_PORTICO_UNDEFINED_OPTION",
  "ERR_PORTICO_INVALID_OPTION",
  "ERR_PORTICO_CONFLICTING_OPTIONS",
  "ERR_PORTICO_UNSAFE_OPTION",
  "ERR_PORTICO_INVALID_HANDLER",
  "ERR_PORTICO_NOT_CALLED",
] as const;

/** What kind of problem it is; docs/errors.md has the cause and the remedy of each. */
export type ConfigErrorCode = (typeof CONFIG_ERROR_CODES)[number];

/** Where a code is explained, as a path in the installed package: GitHub's anchor for the heading. */
export function pageOf(code: ConfigErrorCode): string {
  return `express-portico/docs/errors.md#${code.toLowerCase()}`;
}
