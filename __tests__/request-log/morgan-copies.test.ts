import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import express from "express";
import morgan from "morgan";
import request from "supertest";
import { requestLog } from "../../src/request-log/index.js";
import { memoryStream } from "./memory.js";

const stderr = jest.spyOn(process.stderr, "write").mockReturnValue(true);
beforeEach(() => stderr.mockClear());

async function lineOf(format: string | ((...args: never[]) => unknown), path = "/x?token=secret") {
  const stream = memoryStream();
  const app = express();
  app.use(requestLog({ format: format as string, stream }));
  app.get("/x", (_req, res) => void res.status(201).send("x"));
  await request(app).get(path);
  return stream.lines[0];
}

/** Another installed copy of morgan, as an app has it that asks for another version than this package does. */
let copy: typeof morgan;
const folder = mkdtempSync(join(tmpdir(), "morgan-"));
beforeAll(() => {
  const main = require.resolve("morgan");
  cpSync(dirname(main), join(folder, "node_modules/morgan"), { recursive: true });
  for (const name of [
    "basic-auth",
    "debug",
    "depd",
    "on-finished",
    "on-headers",
    "ms",
    "ee-first",
    "safe-buffer",
  ]) {
    try {
      const from = dirname(createRequire(main).resolve(`${name}/package.json`));
      cpSync(from, join(folder, "node_modules", name), { recursive: true });
    } catch {
      // Not a dependency of this version.
    }
  }
  copy = require(join(folder, "node_modules/morgan/index.js"));
  expect(copy).not.toBe(morgan);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each([
  ["the same morgan as this package's", () => morgan, "of-ours"],
  ["another copy of morgan", () => copy, "of-another"],
])("with %s", (_which, own, tenant) => {
  it("its tokens are in a format", async () => {
    own().token(tenant, (req) => `t-${req.headers.host?.length}`);
    expect(await lineOf(`:${tenant} :method :status`)).toMatch(/^t-\d+ GET 201$/);
    own().token(tenant, () => "anew");
    expect(await lineOf(`:${tenant}`)).toBe("anew");
  });

  it("what a token returns cannot end the line", async () => {
    own().token("evil", () => 'a\r\nb "q"');
    expect(await lineOf(":evil :method")).toMatch(/^a\\r\\nb \\+"q\\+" GET$/);
  });

  it("its named formats, strings and functions", async () => {
    own().token("who", () => "ann");
    own().format("mine", ":who :method :url");
    expect(await lineOf("mine")).toBe("ann GET /x?token=REDACTED");
    own().format("fn", (tokens, req, res) =>
      [tokens.who!(req, res), tokens.method!(req, res), tokens.url!(req, res), tokens.status!(req, res)].join(
        " ",
      ),
    );
    expect(await lineOf("fn")).toBe("ann GET /x?token=REDACTED 201");
  });

  it("what morgan.compile() has made", async () => {
    expect(await lineOf(own().compile(":method :url :status :req[authorization]") as never)).toBe(
      "GET /x?token=REDACTED 201 -",
    );
  });
});

it("for a function that expects morgan's tokens, the warning says how to register it, and the record is written", async () => {
  const line = await lineOf(
    ((tokens: Record<string, (req: unknown, res: unknown) => string>, req: unknown, res: unknown) =>
      `${tokens.method!(req, res)} ${tokens["response-time"]!(req, res)}`) as never,
  );
  expect(JSON.parse(line!)).toMatchObject({ method: "GET", status: 201 });
  expect(stderr.mock.calls.join("")).toContain("morgan.format(name, fn)");
});

it("a token that is not registered is refused when the log is made", () => {
  expect(() => requestLog({ format: ":nobody-has-it" })).toThrow(/unknown token ":nobody-has-it"/);
});
