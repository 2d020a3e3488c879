/** The package is CommonJS and has `require`; only its source, run as ES modules, has not. */
export function requireFromHere(name: string): unknown {
  const { createRequire } = process.getBuiltinModule("node:module");
  return createRequire(`${process.cwd()}/`)(name);
}
