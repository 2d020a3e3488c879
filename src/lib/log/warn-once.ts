const told = new Set<string>();

/**
 * Emits a process warning, once per process for each code: for a fault in the wiring that only a request shows.
 * Node prints it on standard error; `--disable-warning=CODE` turns it off, `process.on("warning")` hears it.
 */
export function warnOnce(code: `PORTICO_${string}`, message: string): void {
  if (told.has(code)) return;
  told.add(code);
  process.emitWarning(message, { type: "PorticoWarning", code });
}
