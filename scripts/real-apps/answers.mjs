// Loads one app of apps.mjs from a folder, serves it on loopback, asks it, and prints the answers as JSON.
//
//   REDIS_PORT=6379 node scripts/real-apps/answers.mjs "kue" /the/folder
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { APPS } from "./apps.mjs";

const [, , name, folder] = process.argv;
const print = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
const app = APPS[name];
const redis = { host: "127.0.0.1", port: Number(process.env.REDIS_PORT) };
const handler = await app.load({ require: createRequire(join(folder, "app.js")), folder, redis });
const server = createServer(handler);
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const answers = {};
for (const asked of app.init.ask) {
  const [path, method = "GET"] = asked.split(" ").reverse();
  const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`, {
    method,
    redirect: "manual",
    headers: {
      // Compressed answers have other headers here than with the package compression.
      "accept-encoding": "identity",
      accept: "application/json, text/html;q=0.9, */*;q=0.8",
      origin: "https://a.example",
    },
    signal: AbortSignal.timeout(20_000),
  });
  answers[asked] = {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: (await response.text()).replaceAll(String(server.address().port), "PORT"),
  };
}
print(`${JSON.stringify(answers)}\n`, () => process.exit(0));
