import { join } from "node:path";
import request from "supertest";
import ts from "typescript";
import { blocks } from "../support/markdown.js";

/** The app of the page's own example. */
function exampleApp(): Parameters<typeof request>[0] {
  const block = blocks("docs/request-log.md").find(({ code }) => code.includes("logging.googleapis.com"))!;
  const { outputText } = ts.transpileModule(`${block.code}\nexport { app };`, {
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES2023,
      esModuleInterop: true,
    },
  });
  const exports: { app?: Parameters<typeof request>[0] } = {};
  const load = (name: string) =>
    require(name === "express-portico" ? join(__dirname, "../../src/index") : name) as unknown;
  new Function("require", "exports", outputText)(load, exports);
  return exports.app!;
}

it("the example for Google Cloud writes the fields that it knows, in its units", async () => {
  const written: string[] = [];
  const write = jest
    .spyOn(process.stdout, "write")
    .mockImplementation((text) => written.push(String(text)) > 0);
  try {
    const app = exampleApp();
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await request(app)
      .get("/hello?x=1&token=s")
      .set("traceparent", traceparent)
      .set("User-Agent", "ua\u0085");
    await request(app).get("/missing");
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  } finally {
    write.mockRestore();
  }
  const [found, missing] = written
    .join("")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(found).toEqual({
    severity: "INFO",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/),
    message: "GET /hello 200",
    httpRequest: {
      requestMethod: "GET",
      requestUrl: "/hello?x=1&token=REDACTED",
      status: 200,
      responseSize: "5",
      userAgent: "ua\u0085",
      remoteIp: expect.stringMatching(/127\.0\.0\.1$/),
      latency: expect.stringMatching(/^0\.\d+s$/),
      cacheHit: false,
      protocol: "HTTP/1.1",
    },
    "logging.googleapis.com/trace": "projects/my-project/traces/0af7651916cd43dd8448eb211c80319c",
    "logging.googleapis.com/spanId": "b7ad6b7169203331",
    "logging.googleapis.com/trace_sampled": true,
    requestId: expect.any(String),
    route: "/hello",
  });
  expect(missing).toMatchObject({ severity: "WARNING", httpRequest: { status: 404 } });
  expect(written.join("")).not.toMatch(/\u0085/);
});
