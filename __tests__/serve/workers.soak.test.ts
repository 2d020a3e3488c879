import http from "node:http";
import net from "node:net";
import { until } from "../support/server.js";
import { casesOf, inSoak } from "../support/soak.js";
import { endPrograms, get, isAlive, listening, type Said, start } from "./fixtures/workers-program.js";

const ROUNDS = casesOf(20);
/** Enough for a process to start or end on a very busy machine. */
const BUSY_MS = 60_000;

jest.setTimeout(60_000);
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

inSoak(() => {
  it("a start that has failed can be tried again", async () => {
    const taken = net.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as net.AddressInfo;
    const program = start({ PORTS: String(port), RETRY: "yes" });
    await until(() => program.said.filter(({ failed }) => failed).length >= 2);
    await new Promise((resolve) => taken.close(resolve));
    const { url, workers } = await listening(program);
    expect(workers).toHaveLength(2);
    expect((await get(url)).status).toBe(200);
    program.child.kill("SIGTERM");
    expect(await program.exit).toBe(0);
  });

  it("with the longest deadline nothing is ended by force", async () => {
    const program = start({ DEADLINE_MS: String(2 ** 31 - 1) });
    const { url } = await listening(program);
    const slow = get(`${url}/slow`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    program.child.kill("SIGTERM");
    expect(await slow).toMatchObject({ status: 200 });
    expect(await program.exit).toBe(0);
  });

  it("several servers share the workers", async () => {
    const program = start({ PORTS: "0,0" });
    await until(() => program.said.filter(({ primary }) => primary).length === 2);
    const [first, second] = program.said.filter(({ primary }) => primary) as Required<Said>[];
    expect(first!.url).not.toBe(second!.url);
    expect(first!.workers).toEqual(second!.workers);
    expect([(await get(first!.url)).status, (await get(second!.url)).status]).toEqual([200, 200]);
    program.child.kill("SIGTERM");
    expect(await program.exit).toBe(0);
  });
});
