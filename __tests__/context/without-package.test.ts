import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildProgram } from "../support/program.js";

/**
 * A process of its own, in a folder from which no package can be found. It answers two requests of its own, and prints
 * what they got and how often the package was looked for.
 */
const PROGRAM = `
  import http from "node:http";
  import Module from "node:module";
  import { requestContext } from "./src/context/index.ts";
  let looked = 0;
  const load = Module._load;
  Module._load = function (name, ...rest) {
    if (name === "@opentelemetry/api") looked++;
    return load.call(this, name, ...rest);
  };
  if (process.argv[2] === "sdk") {
    globalThis[Symbol.for("opentelemetry.js.api.1")] = { version: "1.9.0", context: {}, trace: {} };
  }
  const handle = requestContext();
  const server = http.createServer((req, res) => handle(req, res, () => res.end("fine")));
  server.listen(0, "127.0.0.1", async () => {
    const { port } = server.address();
    const answers = [];
    for (let i = 0; i < 2; i++) answers.push(await (await fetch("http://127.0.0.1:" + port)).text());
    console.log(JSON.stringify({ answers, looked }));
    server.close();
    server.closeAllConnections();
  });
`;

const folder = mkdtempSync(join(tmpdir(), "portico-trace-"));
const program = join(folder, "program.cjs");

beforeAll(() => buildProgram(PROGRAM, program, ["@opentelemetry/api"]));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.each([
  ["without an SDK the package is not looked for", "none", 0],
  ["with one it is not looked for either", "sdk", 0],
])("%s; requests are served", async (_what, argument, looked) => {
  const { stdout } = await promisify(execFile)(process.execPath, [program, argument], { cwd: folder });
  expect(JSON.parse(stdout)).toEqual({ answers: ["fine", "fine"], looked });
});
