import { existsSync, readFileSync } from "node:fs";
import type http from "node:http";
import net from "node:net";
import { join } from "node:path";
import request from "supertest";
import { blocks, pages, root } from "../support/markdown.js";
import { runSnippet } from "../support/snippet.js";
import { oneIn } from "../support/soak.js";

const snippets = pages()
  .flatMap(blocks)
  .filter(({ info }) => info === "ts");

const silenced = ["log", "info", "warn", "error", "count"] as const;
beforeEach(() => {
  for (const method of silenced) jest.spyOn(console, method).mockImplementation(() => {});
  jest.spyOn(process.stdout, "write").mockReturnValue(true);
  jest.spyOn(process.stderr, "write").mockReturnValue(true);
  // An example may listen on a fixed port on all addresses; here it listens on a free one of the loopback.
  const { listen } = net.Server.prototype;
  jest.spyOn(net.Server.prototype, "listen").mockImplementation(function (
    this: net.Server,
    ...args: unknown[]
  ) {
    listening.add(this);
    const callback = args.find((arg) => typeof arg === "function") as (() => void) | undefined;
    return listen.call(this, { port: 0, host: "127.0.0.1" }, callback);
  });
});
afterEach(async () => {
  jest.restoreAllMocks();
  for (const server of listening) {
    (server as Partial<http.Server>).closeAllConnections?.();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
  listening.clear();
});
const listening = new Set<net.Server>();

it("every page of a middleware has at least two examples", () => {
  for (const page of pages().filter(
    (name) =>
      !/README|index|guides|recipes|performance|migrating|architecture|integrations|docs\/init/.test(name),
  )) {
    expect([page, blocks(page).filter(({ info }) => info === "ts").length >= 2]).toEqual([page, true]);
  }
});

const inReadme = snippets.filter(({ place }) => place.startsWith("README"));
const inPages = oneIn(
  3,
  snippets.filter((snippet) => !inReadme.includes(snippet)),
);
it.each(
  [...inReadme, ...inPages].map(({ place, code }) => [place, code]),
)("the example at %s runs, and its app answers", async (_place, code) => {
  const app = await runSnippet(code);
  if (typeof app !== "function") return;
  const { status } = await request(app as never).get("/");
  expect(status).toBeGreaterThanOrEqual(200);
});

it("a `ts file` block is the file that the page names before it", () => {
  const shown = pages().flatMap((page) => blocks(page).map((block) => ({ page, ...block })));
  for (const { page, place, code } of shown.filter(({ info }) => info === "ts file")) {
    const [before] = readFileSync(join(root, page), "utf8").split(code);
    const [, file] = [...before!.matchAll(/\[(docs\/[^\]]+\.ts)\]/g)].at(-1)!;
    expect([place, code.trim()]).toEqual([place, readFileSync(join(root, file!), "utf8").trim()]);
  }
});

it("every path of the repository that architecture.md names exists", () => {
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const paths = [...text.matchAll(/`((?:src|tools|__tests__|bench|scripts|demo)\/[^`<…]*)`/g)].map(
    ([, path]) => path!,
  );
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
