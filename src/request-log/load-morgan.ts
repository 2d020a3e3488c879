type Morgan = Readonly<Record<string, unknown>>;

let loaded: Morgan | undefined;

/**
 * morgan: its named formats, and the tokens that people have registered with it. It takes as long to load as all the
 * rest of this package, and most logs have a format of their own: it is loaded for the first format that is morgan's.
 */
export function loadMorgan(): Morgan {
  loaded ??= (typeof require === "function" ? require("morgan") : requireFromHere("morgan")) as Morgan;
  return loaded;
}

/** The package is CommonJS; only its source, run as ES modules, has no `require`. */
function requireFromHere(name: string): unknown {
  const { createRequire } = process.getBuiltinModule("node:module");
  return createRequire(`${process.cwd()}/`)(name);
}
