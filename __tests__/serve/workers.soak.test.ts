import http from "node:http";
import { until } from "../support/server.js";
import { casesOf } from "../support/soak.js";
import { endPrograms, get, isAlive, listening, start } from "./fixtures/workers-program.js";

const ROUNDS = casesOf(20);
/** Enough for a process to start or end on a very busy machine. */
const BUSY_MS = 60_000;

afterEach(endPrograms);

it(
  `no request fails while the workers are restarted one after the other, ${ROUNDS} times, under load`,
  async () => {
    // A busy client may be slow to use a connection that is open.
    const program = start({ GRACE_MS: "2000", DEADLINE_MS: String(BUSY_MS) });
    const { url } = await listening(program);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 50 });
    let done = false;
    let answered = 0;
    const failures: unknown[] = [];
    const client = async () => {
      while (!done) {
        try {
          const { status } = await get(url, agent);
          if (status === 200) answered++;
          else failures.push(status);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    const clients = Array.from({ length: 50 }, client);
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const [oldest] = await program.workers();
        const listened = program.said.filter(({ primary }) => primary === false).length;
        process.kill(oldest!, "SIGTERM");
        await until(() => !isAlive(oldest!), BUSY_MS);
        await until(() => program.said.filter(({ primary }) => primary === false).length > listened, BUSY_MS);
      }
    } finally {
      done = true;
      await Promise.all(clients);
      agent.destroy();
    }
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(casesOf(1_000));
    program.child.kill("SIGTERM");
    expect(await program.exit).toBe(0);
  },
  10 * BUSY_MS,
);
