import pino from "pino";
import { recover } from "../../../src/recover/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { contract } from "../../../tools/contract/index.js";
import { oneIn } from "../../support/soak.js";
import { demoExpectations, demoParts, failuresOf, inProduction, mount, type Part } from "./demo-parts.js";

inProduction();

const isOfLogger = (name: string) => /\blog\b|\/panic/.test(name);

it("an app with one pino for requestLog and recover, as in their pages, passes the contract", async () => {
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(line) });
  const shared: Record<string, Part[1]> = { log: requestLog({ logger }), recover: recover({ logger }) };
  const parts = demoParts([]).map(([name, handler]): Part => [name, shared[name] ?? handler]);
  const all = contract(mount(parts), demoExpectations(lines));
  const few = oneIn(
    4,
    all.filter(({ name }) => !isOfLogger(name)),
  );
  expect(await failuresOf(all.filter((one) => isOfLogger(one.name) || few.includes(one)))).toEqual({});
  const failures = lines.map((line) => JSON.parse(line)).filter(({ path }) => path === "/panic");
  for (const { error, msg } of failures) {
    expect(msg).toMatch(/^GET \/panic 500 /);
    expect(error.stack).toContain("the handler panicked");
  }
  expect(failures.length).toBeGreaterThan(0);
});
