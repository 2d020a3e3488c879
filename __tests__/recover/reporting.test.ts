import express from "express";
import request from "supertest";
import { requestContext } from "../../src/context/index.js";
import { type RecoverOptions, recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";

function app(options: RecoverOptions, error: unknown = new Error("boom")) {
  const made = express();
  made.use(requestContext());
  made.get("/x", () => {
    throw error;
  });
  made.use(recover(options));
  return made;
}

let written: string[];
beforeEach(() => {
  written = [];
  jest.spyOn(process.stderr, "write").mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
});
afterEach(() => void jest.restoreAllMocks());

it("logs a server error with stack, method, path, request id and peer, without the query", async () => {
  const logger = memoryLogger();
  const res = await request(app({ logger })).get("/x?token=s3cret");
  expect(logger.entries).toEqual([
    {
      level: "error",
      message: expect.stringMatching(/^request failed: GET \//),
      fields: {
        method: "GET",
        path: "/x",
        status: 500,
        requestId: res.headers["x-request-id"],
        remoteAddress: "127.0.0.1",
        error: { type: "Error", message: "boom", stack: expect.stringContaining("reporting.test") },
      },
    },
  ]);
});

it("logs a client's error at warn, without a stack", async () => {
  const logger = memoryLogger();
  await request(app({ logger }, Object.assign(new TypeError("bad"), { status: 400 }))).get("/x");
  expect(logger.entries).toMatchObject([
    { level: "warn", fields: { error: { type: "TypeError", message: "bad" } } },
  ]);
  expect(logger.entries[0]?.fields.error).not.toHaveProperty("stack");
});

it("logs the causes with their stacks", async () => {
  const logger = memoryLogger();
  await request(app({ logger }, new Error("outer", { cause: new Error("inner") }))).get("/x");
  expect(logger.entries[0]?.fields.error.stack).toMatch(/Error: outer.*caused by: Error: inner/s);
});

it("writes one line of JSON to standard error by default", async () => {
  await request(app({}, new Error("two\nlines\x1b[31m"))).get("/x");
  expect(written).toHaveLength(1);
  expect(written[0]).toMatch(/^[^\n\x1b]+\n$/);
  expect(JSON.parse(written[0]!)).toMatchObject({
    level: "error",
    message: expect.stringMatching(/^request failed: GET \//),
    path: "/x",
  });
});

it("writes a block with a readable stack on a terminal, and no control characters", async () => {
  const { isTTY } = process.stderr;
  process.stderr.isTTY = true;
  try {
    await request(app({}, new Error("red \x1b[31m\r"))).get("/x");
  } finally {
    process.stderr.isTTY = isTTY;
  }
  expect(written[0]).toMatch(
    /^error: request failed: GET \/x: red \\u001b\[31m\\u000d method=GET path=\/x status=500 .*\n {2}Error: red \\u001b\[31m\\u000d\n {6}at /,
  );
});

it("falls back to standard error when the logger throws, and still answers", async () => {
  const fail = () => {
    throw new Error("logger");
  };
  await request(app({ logger: { debug: fail, info: fail, warn: fail, error: fail } }))
    .get("/x")
    .expect(500);
  expect(written.join("")).toMatch(/the logger threw.*"path":"\/x"/s);
});

it("calls onError once, with the error itself and the request", async () => {
  const error = new Error("boom");
  const onError = jest.fn();
  await request(app({ logger: memoryLogger(), onError }, error)).get("/x");
  expect(onError).toHaveBeenCalledTimes(1);
  expect(onError.mock.calls[0][0]).toBe(error);
  expect(onError.mock.calls[0][1].path).toBe("/x");
});

it.each<[string, () => unknown]>([
  [
    "throws",
    () => {
      throw new Error("observer");
    },
  ],
  [
    "rejects",
    async () => {
      throw new Error("observer");
    },
  ],
])("reports an onError that %s once, the request untouched", async (_name, onError) => {
  const logger = memoryLogger();
  await request(app({ logger, onError })).get("/x").expect(500, /boom/);
  expect(logger.entries.map((entry) => entry.message)).toEqual([
    "request failed: GET /x: boom",
    "recover: onError threw",
  ]);
});

it.each([
  "status",
  "expose",
] as const)("reports a %s function that throws, and goes by the default", async (option) => {
  const logger = memoryLogger();
  const fail = () => {
    throw new Error("option");
  };
  await request(app({ logger, [option]: fail }))
    .get("/x")
    .expect(500);
  expect(logger.entries.map((entry) => entry.message)).toContain(`recover: the option ${option} threw`);
});
