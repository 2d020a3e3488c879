import net from "node:net";
import { join } from "node:path";
import { demoApp } from "../../../demo/app.js";
import { checkPipeline } from "../../../src/index.js";
import { blocks, pages } from "../../support/markdown.js";
import { runSnippet } from "../../support/snippet.js";
import { oneIn } from "../../support/soak.js";

/** Snippets are short, and omit error handlers. */
const LEFT_OUT = ["no-error-handler", "recover-does-not-cover"];

const snippets = pages()
  .flatMap(blocks)
  .filter(({ info }) => info === "ts")
  .map(({ place, code }): [string, string] => [place, code]);

let listened: Promise<undefined>;
beforeEach(() => {
  for (const method of ["log", "info", "warn", "error", "count"] as const)
    jest.spyOn(console, method).mockReturnValue();
  jest.spyOn(process.stdout, "write").mockReturnValue(true);
  jest.spyOn(process.stderr, "write").mockReturnValue(true);
  listened = new Promise((resolve) => {
    jest.spyOn(net.Server.prototype, "listen").mockImplementation(function (this: net.Server) {
      resolve(undefined);
      return this;
    });
  });
});
afterEach(() => jest.restoreAllMocks());

it.each(oneIn(3, snippets))("reports nothing for %s", async (_place, code) => {
  const app = await Promise.race([runSnippet(code), listened]); // one that listens has no port to wait for
  if (typeof app !== "function") return;
  const findings = checkPipeline(app).filter(({ rule }) => !LEFT_OUT.includes(rule));
  expect(findings).toEqual([]);
});

it("reports nothing for the demo", () => {
  const app = demoApp({
    ownOrigin: "http://localhost:8080",
    otherOrigin: "http://localhost:8081",
    metricsOrigin: "http://localhost:9464",
    fibonacci: join(__dirname, "../../../demo/fibonacci.mjs"),
    load: join(__dirname, "../../../demo/load.mjs"),
    log: { stream: { write: () => true } },
  });
  expect(checkPipeline(app)).toEqual([]);
});
