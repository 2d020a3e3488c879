import { endPrograms, type Reply, send, start } from "./fixtures/uncaught-program.js";

afterAll(endPrograms);

interface Outcome {
  readonly a: Reply;
  readonly b: Reply;
  readonly exit: number | string;
  /** Each error that was logged, by what, and its request. */
  readonly errors: string[];
}

/** A makes the object in which B's work fails; A is not answered yet then. */
async function run(name: string): Promise<Outcome> {
  const program = start("shared-work-app.mjs", [name]);
  const url = await program.saying("url");
  const first = send(`${url}/a`);
  await program.saying("ready");
  const second = send(`${url}/b`);
  const [a, b, exit] = await Promise.all([first, second, program.exit]);
  const [idA] = program.all("a");
  const whose = (id: unknown) => (id === undefined ? "no request" : id === idA ? "A" : "B");
  const errors = program
    .all("record")
    .filter(({ level }) => level === "error")
    .map(({ by, requestId, error }) =>
      `${by}: ${error.message} of ${whose(requestId)}`.replace("of B of", "of"),
    );
  return { a, b, exit, errors };
}

const WHOLE = { status: 200, complete: true, body: "A is whole" };

describe("an error in something that another request happened to make belongs to no request: it is logged, and the process drains", () => {
  const objects = [
    "a socket",
    "a socket, an async listener",
    "a socket, a later turn",
    "a socket that A drops",
    "a socket's time limit",
    "an interval",
    "an interval, an async callback",
    "an agent",
    "an agent that keeps connections",
    "a server",
    "a worker",
    "a worker, an async listener",
    "a child's output",
    "a child's messages",
    "datagrams",
    "mysql2's pool",
  ];
  it.concurrent.each(objects)("%s", async (name) => {
    const { a, b, exit, errors } = await run(name);
    expect(a).toMatchObject(WHOLE);
    expect(b).toMatchObject({ status: 0, error: "ECONNRESET" });
    expect(errors).toEqual(["serve: boom of no request"]);
    expect(exit).toBe(1);
  });
});

describe("an error in a request's own work is answered on that request", () => {
  it.concurrent.each([
    ["a promise of B on A's socket", { status: 500, complete: true }],
    ["a timer of B", { status: 500, complete: true }],
    ["a connection piped to B's response", {}],
    ["an answer of another server piped to B's response", {}],
  ] as const)("%s", async (name, expected) => {
    const { a, b, exit, errors } = await run(name);
    expect(a).toMatchObject(WHOLE);
    expect(b).toMatchObject(expected);
    expect(errors).toEqual(["serve: boom of B", "recover: boom of B"]);
    expect(exit).toBe(1);
  });
});
