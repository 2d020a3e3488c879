import ts from "typescript";

const parsed = new Map<string, ts.SourceFile | undefined>();

/**
 * A compiler's host that has some files of its own. What it reads from the disk is parsed once for all programs of a
 * test file, which must have the same options.
 */
export function hostWith(options: ts.CompilerOptions, own: ReadonlyMap<string, string>): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => own.has(name) || fileExists.call(host, name);
  host.getSourceFile = (name, languageVersion, ...rest) => {
    const text = own.get(name);
    if (text !== undefined) return ts.createSourceFile(name, text, languageVersion);
    if (!parsed.has(name)) parsed.set(name, getSourceFile.call(host, name, languageVersion, ...rest));
    return parsed.get(name);
  };
  return host;
}

/** What is wrong in one file of the program. */
export function diagnosticsOf(program: ts.Program, name: string): readonly ts.Diagnostic[] {
  const source = program.getSourceFile(name)!;
  return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
}
