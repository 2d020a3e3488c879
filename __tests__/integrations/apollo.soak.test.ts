import { until } from "../support/server.js";
import {
  ask,
  buildApp,
  endPrograms,
  hold,
  type Program,
  type Reply,
  removePrograms,
  startProgram,
} from "./support.js";

const ORIGIN = { Origin: "https://studio.example" };
let program: Program;
let never: Promise<Reply>;
beforeAll(async () => {
  program = await startProgram(buildApp("apollo"));
  never = hold(query("{ never }"));
});
afterAll(async () => {
  await endPrograms();
  removePrograms();
});

function query(text: string, headers: Record<string, string> = {}): Promise<Reply> {
  return ask(`${program.url}/graphql`, {
    method: "POST",
    headers: { ...ORIGIN, "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ query: text }),
  });
}

it("a query is answered, compressed, with each header once, and is one record", async () => {
  const reply = await query("{ hello }");
  expect(reply.status).toBe(200);
  expect(JSON.parse(reply.text).data.hello).toHaveLength(2_100);
  expect(Object.fromEntries(reply.headers)).toMatchObject({
    "content-encoding": "gzip",
    "access-control-allow-origin": "https://studio.example",
    vary: "Origin, Accept-Encoding",
    "x-content-type-options": "nosniff",
  });
  await until(() => program.records.length === 1);
  expect(program.records[0]).toMatchObject({ method: "POST", path: "/graphql", status: 200 });
});

it("a resolver's error is part of a 200, as GraphQL has it; invalid syntax is Apollo's 400", async () => {
  const broken = await query("{ broken }");
  expect([broken.status, JSON.parse(broken.text)]).toMatchObject([
    200,
    { data: { broken: null }, errors: [{ message: "the database is gone" }] },
  ]);
  const invalid = await query("{ hello");
  expect([invalid.status, JSON.parse(invalid.text).errors[0].extensions.code]).toEqual([
    400,
    "GRAPHQL_PARSE_FAILED",
  ]);
  await until(() => program.records.some(({ status }) => status === 400));
});

it("what comes before Apollo is refused by ours: a forged request, a long body, invalid JSON", async () => {
  const forged = await query("{ hello }", { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" });
  expect([forged.status, JSON.parse(forged.text).status]).toEqual([403, 403]);
  const long = await query(`{ hello } # ${"x".repeat(20_000)}`);
  expect(long.status).toBe(413);
  expect(long.headers.get("access-control-allow-origin")).toBe("https://studio.example");
  const invalid = await ask(`${program.url}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: "{",
  });
  expect([invalid.status, JSON.parse(invalid.text).title]).toEqual([400, "Bad Request"]);
});

it("Apollo's own prevention of forged requests refuses a GET without a header that needs a preflight", async () => {
  const reply = await ask(`${program.url}/graphql?query={hello}`);
  expect(reply.status).toBe(400);
  expect(reply.text).toContain("CSRF");
  const allowed = await ask(`${program.url}/graphql?query={hello}`, {
    headers: { "Apollo-Require-Preflight": "1" },
  });
  expect(allowed.status).toBe(200);
});

it("a resolver that is too slow gets the 503 of timeout, once", async () => {
  const reply = await never;
  expect([reply.status, JSON.parse(reply.text).title]).toEqual([503, "Service Unavailable"]);
  await until(() => program.records.some(({ timedOut }) => timedOut === true));
});

it("SIGTERM: the query under way is answered, although it takes more than a second, then Apollo stops", async () => {
  const last = hold(query("{ last }"));
  await until(() => program.lines.some(({ waiting }) => waiting === "last"));
  const count = program.records.length;
  expect(await program.end()).toEqual({ code: 0, signal: null });
  expect(await last).toMatchObject({ status: 200, text: '{"data":{"last":"the last one"}}\n' });
  expect(program.records).toHaveLength(count + 1);
  const order = program.lines.flatMap(({ hook, status }) => hook ?? status ?? []);
  expect(order.slice(-2)).toEqual([200, "serverWillStop"]);
});
