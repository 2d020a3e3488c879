import http from "node:http";
import type { Express } from "express";
import { demoApp } from "./app.js";
import { otherApp } from "./other.js";

const host = process.env.HOST ?? "127.0.0.1";
const port = Number(process.env.PORT ?? 8080);
const otherPort = Number(process.env.OTHER_PORT ?? port + 1);
const ownOrigin = `http://localhost:${port}`;
const otherOrigin = `http://localhost:${otherPort}`;

const servers = [
  await listen(demoApp({ ownOrigin, otherOrigin }), port),
  await listen(otherApp({ apiOrigin: ownOrigin }), otherPort),
];
console.log(`Serving on port: ${port}`);
console.log(
  `Open ${ownOrigin}/ for what to try, and ${otherOrigin}/ for a page of another origin that calls it.`,
);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    for (const server of servers) {
      server.close();
      server.closeIdleConnections();
    }
  });
}

function listen(app: Express, port: number): Promise<http.Server> {
  return new Promise((resolve) => {
    const server = http.createServer(app);
    server.on("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE";
      console.error(taken ? `Port ${port} is taken. Try another: PORT=8090 npm run demo` : error.message);
      process.exit(1);
    });
    server.listen(port, host, () => resolve(server));
  });
}
