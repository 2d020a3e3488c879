import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readArguments } from "../../../tools/check/command/main.js";
import { coloured, findingsText, pipelineSvg, plain, treeText } from "../../../tools/check/command/print.js";
import type { Finding, PipelineNode } from "../../../tools/check/pipeline.js";
import { buildProgram } from "../../support/program.js";
import { inSoak, oneIn } from "../../support/soak.js";

/** As tools/cli.ts, which a bundler drops: the package has no side effects. */
const PROGRAM = 'import { main } from "./tools/check/command/main.js"; main(process.argv.slice(2));';
const apps = join(__dirname, "apps");
const folder = mkdtempSync(join(tmpdir(), "portico-"));
const cli = join(folder, "cli.cjs");
beforeAll(() => buildProgram(PROGRAM, cli));
afterAll(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [cli, ...args], { cwd: apps, timeout: 30_000 });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk) => (out += chunk));
    child.stderr.on("data", (chunk) => (err += chunk));
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

it("prints the tree, and exits with 0 if nothing is wrong, even if the app keeps the process alive", async () => {
  const { code, out, err } = await run("check", "right.cjs");
  expect([code, err]).toEqual([0, ""]);
  expect(out).toBe(`app
├─ 1 cors
├─ 2 GET /
│  └─ 2.1 a handler without a name
└─ 3 the error handler (error handler)

Nothing wrong was found.
`);
});

it("exits with 1 on a fault, says why and what to do, and draws the pipeline", async () => {
  const graph = join(folder, "out.svg");
  const { code, out } = await run("check", "./wrong.mjs", "--graph", graph);
  const svg = readFileSync(graph, "utf8");
  expect(code).toBe(1);
  expect(out).toContain("├─ 2 cors <- cors-after-body-parser");
  expect(out).toMatch(/fault {2}cors is after jsonParser: .+\n {7}at: .+\n {7}why: .+\n {7}fix: .+/);
  expect(out).toContain("1 fault, 0 advice");
  expect(out).not.toContain("\u001b");
  expect(svg).toContain("/&lt;b&gt;&amp;&quot;");
});

inSoak(() =>
  it("exits with 2 if an app ends the process, and says what it may need", async () => {
    expect(await run("check", "exits.cjs")).toEqual({
      code: 2,
      out: "",
      err: expect.stringMatching(
        /exits\.cjs ended the process while it was imported\. If it needs environment variables, set them/,
      ),
    });
    const { code, err } = await run("check", "throws-later.mjs");
    expect([code, err]).toEqual([2, expect.stringMatching(/throws-later\.mjs failed .*no database/)]);
  }),
);

inSoak(() =>
  it("reads an app that waits for its server to listen, without a port that is open", async () => {
    expect(await run("check", "listens.mjs")).toEqual({
      code: 0,
      out: "app\n\nNothing wrong was found.\n",
      err: "",
    });
  }),
);

inSoak(() =>
  it("prints nothing but JSON on standard output, whatever the app prints", async () => {
    const { code, out, err } = await run("check", "talks.cjs", "--json");
    expect([code, err]).toEqual([0, "[settings] 3 variables were read\n"]);
    expect(JSON.parse(out).findings).toHaveLength(1);
  }),
);

it("exits with 0 on advice only, and prints JSON", async () => {
  const { code, out } = await run("check", "advice.mjs", "--json");
  const { pipeline, findings } = JSON.parse(out) as { pipeline: PipelineNode; findings: Finding[] };
  expect(code).toBe(0);
  expect(pipeline.children.map(({ kind }) => kind)).toEqual(["route"]);
  expect(findings.map(({ rule, level }) => [rule, level])).toEqual([["no-error-handler", "advice"]]);
});

const refused: [string, RegExp][] = [
  ["factory.cjs", /exports a function, makeApp, that makes no app.+write a module/],
  ["router.cjs", /exports a router; export the app/],
  ["nothing.mjs", /exports no Express app, and starts none \(it exports name\); export the app/],
  ["throws.cjs", /could not be imported: The database is not there\./],
  ["endless.mjs", /never finished loading/],
  ["none.js", /there is no file none\.js/],
  [".", /is a directory/],
];
inSoak(() =>
  it.each(oneIn(4, refused))("refuses %s with a reason, and exits with 2", async (file, reason) => {
    const { code, out, err } = await run("check", file);
    expect(err).toMatch(reason);
    expect([code, out]).toEqual([2, ""]);
  }),
);

it.each([
  [["check", "a.js"], { file: "a.js", json: false, graph: undefined }],
  [["check", "--graph", "o.svg", "a.js", "--json"], { file: "a.js", json: true, graph: "o.svg" }],
  [["check", "--graph=o.svg", "a.js"], { file: "a.js", json: false, graph: "o.svg" }],
  [["check", "--help"], "help"],
])("reads %j", (given, expected) => {
  expect(readArguments(given)).toEqual(expected);
});

it.each([
  [[], "a command is missing"],
  [["chek", "a.js"], 'unknown command "chek"'],
  [["check"], "a file is missing"],
  [["check", "a.js", "b.js"], "one file at a time"],
  [["check", "a.js", "--jsno"], "did you mean --json?"],
  [["check", "a.js", "--graph"], "needs the name of a file"],
  [["check", "a.js", "--graph", "--json"], "needs the name of a file"],
])("refuses %j", (given, reason) => {
  const refused = readArguments(given);
  expect(refused).toBeInstanceOf(Error);
  expect((refused as Error).message).toContain(reason);
});

describe("what is printed", () => {
  const pipeline: PipelineNode = {
    kind: "app",
    name: "app",
    index: "",
    path: "/",
    children: [
      { kind: "middleware", name: "a\u001b[2Jb\n", index: "1", path: "/<x>", children: [] },
      { kind: "app", name: "mounted_app", index: "2", path: "/s", children: [], unseen: "no inspector" },
    ],
  };
  const finding: Finding = { rule: "r", level: "fault", at: "1 a", message: "m", why: "w", fix: "f" };

  it("has no control characters from names", () => {
    expect(treeText(pipeline, [finding], plain)).toBe(
      "app\n├─ 1 a?[2Jb? (at /<x>) <- r\n└─ 2 the app at /s\n   └─ (not seen: no inspector)\n",
    );
  });

  it("has no colours or text directions from names", () => {
    const evil: PipelineNode = { ...pipeline.children[0]!, name: "\u001b[8mhidden\u202e" };
    const text = treeText({ ...pipeline, children: [evil] }, [{ ...finding, message: evil.name }], coloured);
    const told = findingsText([{ ...finding, message: evil.name, why: evil.name }], coloured);
    for (const shown of [text, told]) {
      expect(shown).toContain("?[8mhidden?");
      expect(shown).not.toMatch(/\u001b\[8m|\u202e/);
    }
  });

  it("is coloured if asked for", () => {
    expect(findingsText([finding], coloured)).toContain("\u001b[31mfault \u001b[0m");
    expect(findingsText([], coloured)).toContain("\u001b[32mNothing wrong");
  });

  it("draws a box for each node and two arrows, as well-formed XML", () => {
    const svg = pipelineSvg(pipeline, [finding]);
    expect(svg.match(/<rect x=/g)).toHaveLength(2);
    expect(svg.match(/marker-end/g)).toHaveLength(2);
    expect(svg).toContain(">request<");
    expect(svg).toContain(">response<");
    expect(svg).toContain('stroke="#cf222e"');
    expect(svg).not.toMatch(/[\u0000-\u0008\u001b]/);
    const open = svg.match(/<(?:g|svg|text|title|defs|marker)[ >]/g)!.length;
    expect(svg.match(/<\/(?:g|svg|text|title|defs|marker)>/g)).toHaveLength(open);
  });
});
