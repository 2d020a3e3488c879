import morgan from "./morgan.cjs";

type Morgan = Readonly<Record<string, unknown>>;

let loaded: Morgan | undefined;

/**
 * morgan: its named formats, and the tokens that people have registered with it. It takes as long to load as all the
 * rest of this package, and most logs have a format of their own: it is loaded for the first format that is morgan's.
 */
export function loadMorgan(): Morgan {
  loaded ??= morgan.load() as Morgan;
  return loaded;
}
