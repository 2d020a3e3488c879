// One server, as a process: `node server.mjs <module of servers/> <name> [how]`. It runs without a TypeScript loader and uses the
// built package, as users do.
const [module, name, how] = process.argv.slice(2);
const { start } = await import(`./servers/${module}.mjs`);
const port = await start(name, how);

process.on("message", (question) => {
  if (question === "heap") {
    globalThis.gc?.();
    globalThis.gc?.();
  }
  process.send?.({ cpu: process.cpuUsage(), memory: process.memoryUsage() });
});
process.on("disconnect", () => process.exit());
process.send?.({ port });
