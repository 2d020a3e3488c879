import { AssertionError } from "node:assert";
import type { IncomingMessage, ServerResponse } from "node:http";
import { contract, type Expectations } from "../../../tools/contract/index.js";
import { demoExpectations, demoParts, failuresOf, inProduction, mount } from "./demo-parts.js";
import { faults } from "./faults/index.js";

inProduction();

/** @param patienceMs less for a client that waits in vain */
async function failureOf(fault: string, name: string, patienceMs = 20_000): Promise<Error> {
  const lines: string[] = [];
  const app = mount(faults[fault]!(demoParts(lines), lines));
  const found = contract(app, demoExpectations(lines, patienceMs)).find((one) => one.name === name);
  if (found === undefined) throw new Error(`no case is named ${name}`);
  return found.run().then(
    () => new Error("it passed"),
    (error: Error) => error,
  );
}

it("a failure says what a browser would see, with a summary of the request and the answer", async () => {
  const error = await failureOf(
    "CORS headers lost on errors",
    "a page at https://app.example can read the 500 of GET /panic",
  );
  expect(error).toBeInstanceOf(AssertionError);
  expect(error.message.split("\n")).toEqual([
    "A page at https://app.example could not read this 500: it has no Access-Control-Allow-Origin. The browser would report a network error instead.",
    "  request: GET /panic; Origin: https://app.example",
    expect.stringMatching(/^ {2}answer: {2}500; access-control-allow-credentials: true; .*bytes of body$/),
  ]);
});

it("a failure shows no credentials, neither of the request nor of the answer", async () => {
  const denied = await failureOf("no user gets in", "GET /admin with credentials is answered with 2xx");
  expect(denied.message).toMatch(/request: GET \/admin; Authorization: \.\.\./);
  const shared = await failureOf(
    "one user's cookie for all",
    "the first user's /me is not given to the second",
  );
  expect(shared.message).toContain("who then acts as the first");
  expect(`${denied.message}${shared.message}`).not.toMatch(/demo-owner|bob-token|the-first"|session=/);
});

it.each<[fault: string, name: string, words: RegExp, ...patienceMs: number[]]>([
  ["an error that nobody answers", "GET /panic is answered with 500", /no answer after 1000 ms/, 1_000],
  [
    "bodies read before the check of credentials",
    "the 401 of /admin does not wait for the upload",
    /sends slowly is kept waiting/,
    1_000,
  ],
  [
    "a second answer after the error's",
    "GET /panic gets exactly one answer, and the next request its own",
    /two answers|the rest of one answer|no answer/,
    1_000,
  ],
  [
    "half an answer with a proper end",
    "a client can see that the answer of /panic-late is not whole",
    /takes half an answer for all of it/,
  ],
  [
    "an error page with the message",
    "the 500 of GET /panic shows nothing of the app's inside",
    /it contains secrets\[0\]/,
  ],
  [
    "an error page with the stack",
    "the 500 of GET /panic shows nothing of the app's inside",
    /Every visitor sees a stack/,
  ],
  ["two logs", "the log has one line for a 404", /sees this request 2 times/],
])("%s: %s", async (fault, name, words, ...patienceMs) => {
  expect((await failureOf(fault, name, patienceMs[0])).message).toMatch(words);
});

/** The cases of an app that answers /hello with these bytes, and what is wrong with them. */
async function failuresOfBytes(bytes: string, route: "ok" | "failingLate" = "ok"): Promise<string> {
  const app = (req: IncomingMessage, res: ServerResponse) => {
    if (req.url !== "/hello") res.writeHead(404).end();
    else req.socket.end(bytes);
  };
  const cases = contract(app, { routes: { [route]: "/hello" } });
  const found = Object.entries(await failuresOf(cases)).filter(([name]) => name.includes("/hello"));
  return found.map(([, message]) => message).join("\n");
}

it("an interim response before an answer is not the answer", async () => {
  const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
  expect(await failuresOfBytes(`${hints}${answer}hi`)).not.toContain("103");
});

it.each([
  ["a chunk without a size", "Transfer-Encoding: chunked\r\n\r\nzz\r\n", /no answer\. A chunk has no size/],
  ["bytes that are no answer", "", /no answer\. It begins with "hello"/],
])("%s is named", async (_what, rest, words) => {
  const head = rest === "" ? "hello\r\n\r\n" : `HTTP/1.1 200 OK\r\n${rest}`;
  expect(await failuresOfBytes(head)).toMatch(words);
});

it.each([
  ["a chunk that is cut off", "Transfer-Encoding: chunked\r\n\r\nff\r\nhalf", ""],
  ["less than the length", "Content-Length: 100\r\n\r\nhalf", ""],
  ["no length", "Connection: close\r\n\r\nhalf", "no length, and a connection closed as usual"],
])("half an answer with %s: whether a client can see that it is half", async (_how, rest, words) => {
  const message = await failuresOfBytes(`HTTP/1.1 200 OK\r\n${rest}`, "failingLate");
  expect(message === "" ? "" : message.match(/the body has (.*?)\.$/m)?.[1]).toBe(words);
});

it("headers with their values are compared: a text, a pattern, or none", async () => {
  const app = (_req: IncomingMessage, res: ServerResponse) =>
    res.setHeader("X-Frame-Options", "SAMEORIGIN").setHeader("X-Runtime", "1").end("hi");
  const failures = async (securityHeaders: Expectations["securityHeaders"]) => {
    const cases = contract(app, { routes: { ok: "/hello" }, securityHeaders });
    return (await failuresOf(cases))["the answer of GET /hello has the security headers"]?.split("\n")[0];
  };
  expect(await failures({ "X-Frame-Options": "SAMEORIGIN", "x-runtime": /^\d$/g, Server: false })).toBe(
    undefined,
  );
  expect(await failures({ "X-Frame-Options": "DENY" })).toBe(
    "A browser reads X-Frame-Options: SAMEORIGIN, where DENY was promised.",
  );
  expect(await failures({ "X-Runtime": false })).toBe(
    "A browser sees X-Runtime, which no answer should have.",
  );
  expect(await failures(["Referrer-Policy"])).toBe("This 200 has no Referrer-Policy.");
});
