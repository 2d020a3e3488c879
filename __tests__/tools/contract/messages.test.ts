import { AssertionError } from "node:assert";
import { contract } from "../../../tools/contract/index.js";
import { demoExpectations, demoParts, inProduction, mount } from "./demo-parts.js";
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
