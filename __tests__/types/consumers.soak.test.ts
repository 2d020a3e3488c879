import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import newest from "typescript";
import oldest from "typescript-5.4";
import { root } from "../support/markdown.js";

/** A project that has installed the package as it is built, with some @types/node, compiled by some TypeScript. */
let project: string;

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "portico-types-"));
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

function install(nodeTypes: string): void {
  const modules = join(project, "node_modules");
  mkdirSync(join(modules, "express-portico"), { recursive: true });
  mkdirSync(join(modules, "@types"));
  copyFileSync(join(root, "package.json"), join(modules, "express-portico", "package.json"));
  symlinkSync(join(root, "dist"), join(modules, "express-portico", "dist"));
  for (const name of readdirSync(join(root, "node_modules", "@types"))) {
    if (name !== "node")
      symlinkSync(join(root, "node_modules", "@types", name), join(modules, "@types", name));
  }
  symlinkSync(join(root, "node_modules", nodeTypes), join(modules, "@types", "node"));
  symlinkSync(join(root, "node_modules", "undici-types"), join(modules, "undici-types"));
  symlinkSync(join(root, "node_modules", "express"), join(modules, "express"));
}

/** The compilers' own declarations, which are parsed once: all programs have the same target. */
const libraries = new Map<string, newest.SourceFile>();

/** What the compiler says of the user's file, and of the package's declarations (as `skipLibCheck: false` does). */
function faults(ts: typeof newest, resolution: string, type: "module" | "commonjs"): string[] {
  writeFileSync(join(project, "package.json"), JSON.stringify({ type }));
  const file = join(project, "consumer.ts");
  copyFileSync(join(root, "__tests__/types/consumer.ts"), file);
  const module = { node10: "commonjs", bundler: "esnext" }[resolution] ?? resolution;
  const isNewest = ts.versionMajorMinor.startsWith("6");
  const { options, errors } = ts.convertCompilerOptionsFromJson(
    {
      module,
      moduleResolution: resolution,
      target: "es2022",
      lib: ["es2022", "esnext.disposable"],
      types: ["node"],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      esModuleInterop: true,
      preserveSymlinks: true,
      noEmit: true,
      ...(isNewest && resolution === "node10" && { ignoreDeprecations: "6.0" }),
    },
    project,
  );
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (name, ...rest) => {
    if (!/\/typescript[^/]*\/lib\/lib\.[^/]*$/.test(name)) return getSourceFile.call(host, name, ...rest);
    const source = libraries.get(name) ?? getSourceFile.call(host, name, ...rest);
    if (source !== undefined) libraries.set(name, source);
    return source;
  };
  const program = ts.createProgram([file], options, host);
  const ours = program
    .getSourceFiles()
    .filter(({ fileName }) => fileName === file || fileName.includes("express-portico/dist"));
  expect(ours.length).toBeGreaterThan(5);
  const told = [...errors, ...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics()];
  for (const source of ours)
    told.push(...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source));
  return told.map(
    ({ file: at, messageText }) =>
      `${at?.fileName.replace(project, "") ?? ""}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`,
  );
}

const compilers = { "5.4": oldest as unknown as typeof newest, [newest.versionMajorMinor]: newest };

const projects = [
  ["5.4", "types-node-22", "node16", "commonjs"],
  ["5.4", "@types/node", "node10", "commonjs"],
  ["5.4", "types-node-26", "nodenext", "module"],
  [newest.versionMajorMinor, "types-node-26", "nodenext", "commonjs"],
  [newest.versionMajorMinor, "types-node-24", "node10", "commonjs"],
  [newest.versionMajorMinor, "types-node-26", "bundler", "module"],
] as const;

it.each(
  projects,
)("a project compiles with TypeScript %s, %s, moduleResolution %s, type %s", (version, nodeTypes, resolution, type) => {
  install(nodeTypes);
  expect(faults(compilers[version]!, resolution, type)).toEqual([]);
});
