import { addsElsewhere } from "./adds-elsewhere.js";
import { appsOf } from "./app.js";
import type { Project } from "./change.js";
import {
  filesBelow,
  importedNames,
  isRelative,
  isTest,
  MAX_FILES,
  mayMean,
  packageFolder,
  parsed,
  resolveFile,
  SOURCE,
  textIn,
} from "./files.js";
import { PACKAGE } from "./imports.js";
import { importsOf } from "./packages.js";
import { REPLACED } from "./replace/index.js";
import { readSource, type Source } from "./source.js";
import type { App } from "./uses.js";

const { existsSync, readFileSync, statSync } = process.getBuiltinModule("node:fs");
const { dirname, join, relative, resolve } = process.getBuiltinModule("node:path");

/** Why the command cannot go on. */
export class InitError extends Error {}

const USUAL = ["app", "server", "index", "main", "src/app", "src/server", "src/index", "src/main", "bin/www"];

/** The files of the project around an app, parsed when they are first asked for. */
export class Files implements Project {
  /** The folder of the package.json. */
  readonly root: string;
  readonly #sources = new Map<string, Source | undefined>();
  readonly #from: string;
  #all: readonly string[] | undefined;

  constructor(from: string) {
    this.root = packageFolder(from) ?? from;
    this.#from = from;
  }

  get packageFile(): string | undefined {
    const file = join(this.root, "package.json");
    return existsSync(file) ? file : undefined;
  }

  /** A parsed file; undefined if it cannot be read as JavaScript or TypeScript. */
  source(file: string): Source | undefined {
    if (!this.#sources.has(file)) this.#sources.set(file, parsed(file));
    return this.#sources.get(file);
  }

  shown(file: string): string {
    return relative(process.cwd(), file).replaceAll("\\", "/") || file;
  }

  all(): readonly string[] {
    this.#all ??= filesBelow(this.root, this.#from);
    return this.#all;
  }

  /** The file that makes the app: the given one, or the first that it imports, or that one of these imports. */
  find(given: string | undefined): { readonly file: string; readonly others: readonly string[] } {
    const starts = given === undefined ? this.#entries() : [resolve(given)];
    const start = starts[0] ?? this.#only(given);
    if (start === undefined)
      throw new InitError(
        this.#withMaking("no file was found that starts the app: express-portico init ./app.js"),
      );
    if (!existsSync(start)) throw new InitError(`there is no file ${given}`);
    if (statSync(start).isDirectory()) throw new InitError(`${given} is a directory: name the file in it`);
    readSourceOf(start); // a fault in its syntax is said
    const reached = this.#reachedFrom(starts.length === 0 ? [start] : starts);
    const isGiven = given !== undefined && this.#uses(start).length > 0;
    const file = isGiven ? start : (reached.find((one) => this.#makesApp(one)) ?? this.#only(given));
    if (file === undefined)
      throw new InitError(
        this.#withMaking(
          `no app is made with express() in ${this.shown(start)} or in a file that it imports`,
        ),
      );
    return {
      file,
      others: reached.filter((one) => one !== file && (this.#uses(one).length > 0 || this.#makesApp(one))),
    };
  }

  /** The only file of the project that makes an app, if no file was given. */
  #only(given: string | undefined): string | undefined {
    const [file, other] = given === undefined ? this.#making() : [];
    return other === undefined ? file : undefined;
  }

  /** The files that make an app, tests aside. */
  #making(): readonly string[] {
    return this.all().filter((one) => !isTest(relative(this.root, one)) && this.#makesApp(one));
  }

  #withMaking(message: string): string {
    const making = this.#making().map((one) => `\n  npx ${PACKAGE} init ${this.shown(one)}`);
    return making.length === 0 ? message : `${message}; these files make one:${making.join("")}`;
  }

  #entries(): readonly string[] {
    const {
      main,
      scripts = {},
      bin,
    } = (this.packageJson() ?? {}) as {
      main?: string;
      bin?: unknown;
      scripts?: Record<string, string>;
    };
    const started = Object.entries(scripts)
      .filter(([name]) => /^(?:start|dev|serve)/.test(name))
      .flatMap(([, script]) =>
        script.split(/[\s"']+/).filter((word) => SOURCE.test(word) || /^(?:\.\/)?bin\//.test(word)),
      );
    const bins = typeof bin === "string" ? [bin] : Object.values((bin ?? {}) as Record<string, string>);
    const named = [...started, ...(main === undefined ? [] : [main]), ...bins, ...USUAL];
    return [...new Set(named.flatMap((name) => resolveFile(join(this.root, name)) ?? []))];
  }

  #reachedFrom(starts: readonly string[]): readonly string[] {
    const found = [...starts];
    for (const file of found) {
      if (found.length > MAX_FILES) break;
      for (const next of this.importedBy(file)) if (!found.includes(next)) found.push(next);
    }
    return found;
  }

  importedBy(file: string): readonly string[] {
    const source = this.source(file);
    if (source === undefined) return [];
    return importedNames(source).flatMap((name) => {
      if (isRelative(name)) return resolveFile(join(dirname(file), name)) ?? [];
      return this.#isPackage(name) ? [] : this.all().filter((one) => mayMean(name, one));
    });
  }

  means(from: string, name: string, target: string): boolean {
    if (isRelative(name)) return resolveFile(join(dirname(from), name)) === target;
    return !this.#isPackage(name) && mayMean(name, target);
  }

  /** Whether a name is that of a package, of Node or of package.json, and no alias of a folder. */
  #isPackage(name: string): boolean {
    if (!name.includes("/") && !name.startsWith("#")) return true;
    const { isBuiltin } = process.getBuiltinModule("node:module");
    const { dependencies, devDependencies, peerDependencies } = (this.packageJson() ?? {}) as Record<
      string,
      object | undefined
    >;
    const known = Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies });
    return isBuiltin(name) || known.some((one) => name === one || name.startsWith(`${one}/`));
  }

  #makesApp(file: string): boolean {
    const source = this.source(file);
    if (source === undefined || !/express/.test(source.text)) return false;
    const { apps, unnamed } = appsOf(source, importsOf(source));
    return apps.length + unnamed.length > 0;
  }

  /** The replaced packages that a file uses. */
  #uses(file: string): readonly string[] {
    const source = this.source(file);
    if (source === undefined) return [];
    const names = [...Object.keys(REPLACED), PACKAGE].filter((name) => this.isUsedIn(source, name));
    return this.#makesApp(file) ? [...names, "express"] : names;
  }

  isUsedIn({ text }: Source, name: string): boolean {
    return new RegExp(`(?:require\\(\\s*|from\\s+|import\\s+)['"\`]${name}['"\`]`).test(text);
  }

  /** The files that still use a package, the one that is changed aside. */
  usersOf(name: string, except: string): readonly string[] {
    return this.all().filter((file) => {
      if (file === except) return false;
      const text = textIn(file);
      return text !== undefined && new RegExp(`['"\`]${name}['"\`]`).test(text);
    });
  }

  mentions(text: string): boolean {
    return this.all().some((file) => textIn(file)?.includes(text));
  }

  packageJson(): Record<string, unknown> | undefined {
    try {
      return JSON.parse(readFileSync(join(this.root, "package.json"), "utf8"));
    } catch {
      return undefined;
    }
  }

  majorOf(name: string): number | undefined {
    for (let folder = this.root; ; folder = dirname(folder)) {
      try {
        const { version } = JSON.parse(
          readFileSync(join(folder, "node_modules", name, "package.json"), "utf8"),
        );
        return Number.parseInt(version, 10);
      } catch {
        // not installed here
      }
      if (dirname(folder) === folder) break;
    }
    const { dependencies = {}, devDependencies = {} } = (this.packageJson() ?? {}) as Record<
      string,
      Record<string, string>
    >;
    const major = /^[\^~>=v ]*(\d+)/.exec(dependencies[name] ?? devDependencies[name] ?? "")?.[1];
    return major === undefined ? undefined : Number(major);
  }

  addsElsewhere(source: Source, app: App): string | undefined {
    return addsElsewhere(this, source, app);
  }
}

function readSourceOf(file: string): Source {
  const text = readFileSync(file, "utf8");
  try {
    return readSource(file, text);
  } catch (error) {
    throw new InitError(`${file} could not be read: ${(error as Error).message}`);
  }
}
