import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/server.js";
import { endPrograms, type Program, send, start, stopsListening } from "./fixtures/uncaught-program.js";

afterAll(endPrograms);

const SLOW = { status: 200, complete: true, body: "slow", headers: { connection: "close" } };
const CUT = { complete: false, error: "ECONNRESET" };

interface Running {
  readonly program: Program;
  readonly url: string;
  readonly urls: string[];
  /** Sends a request, and waits until it is under way. */
  under(way: string, server?: number): Promise<{ readonly reply: ReturnType<typeof send> }>;
}

async function run(options: object = {}): Promise<Running> {
  const program = start("signals-app.mjs", [JSON.stringify(options)]);
  const urls: string[] = await program.saying("urls");
  const under = async (path: string, server = 0) => {
    const begun = program.all("started").length;
    const reply = send(`${urls[server]}${path}`);
    while (program.all("started").length === begun) await new Promise((resolve) => setTimeout(resolve, 2));
    return { reply };
  };
  return { program, url: urls[0]!, urls, under };
}

/** Until then another signal counts as the same one. */
const another = () => new Promise((resolve) => setTimeout(resolve, 1_050));

const messages = ({ program }: Running) => program.all("record").map(({ message }) => message);

it.concurrent.each([
  "SIGTERM",
  "SIGINT",
] as NodeJS.Signals[])("%s closes, and the process ends with 0", async (signal) => {
  const running = await run();
  const { program, url, under } = running;
  const { reply } = await under("/slow");
  program.child.kill(signal);
  expect(await stopsListening(url)).toBe(true);
  expect(await program.saying("listenedLoopMs")).toBeLessThan(200);
  expect(await reply).toMatchObject(SLOW);
  expect(await program.exit).toBe(0);
  expect(program.all("closed")).toEqual([{ forced: false }]);
  expect(messages(running)).toEqual([
    "closing; another signal, from a second on, ends the process at once",
    "closed",
  ]);
  expect(program.all("sinceClosed")[0].loopMs).toBeLessThan(300);
  expect(program.stderr()).toBe("");
});

it.concurrent("it ends with 1 if something had to be ended by force", async () => {
  const running = await run({ servers: [{ drain: { idleGraceMs: 100, deadlineMs: 600 } }] });
  const { reply } = await running.under("/endless");
  running.program.child.kill("SIGTERM");
  expect(await reply).toMatchObject({ status: 200, body: "begun", ...CUT });
  expect(await running.program.exit).toBe(1);
  expect(running.program.all("closed")).toEqual([{ forced: true }]);
  expect(messages(running)).toContain("closed by force");
});

const twice: [NodeJS.Signals, NodeJS.Signals, number][] = [
  ["SIGINT", "SIGINT", 130],
  ["SIGTERM", "SIGTERM", 143],
  ["SIGINT", "SIGTERM", 143],
];
it.concurrent.each(
  twice,
)("%s, then %s more than a second later, ends it at once with %d", async (first, second, code) => {
  const { program, url, under } = await run({ ticks: true, servers: [{ drain: { deadlineMs: 20_000 } }] });
  const { reply } = await under("/endless");
  program.child.kill(first);
  expect(await stopsListening(url)).toBe(true);
  expect(await program.saying("listenedLoopMs")).toBeLessThan(200);
  await another();
  const ticks = program.all("tick").length;
  program.child.kill(second);
  expect(await program.exit).toBe(code);
  expect(ticks).toBeGreaterThan(0);
  expect((program.all("tick").length - ticks) * 50).toBeLessThan(1_000);
  expect(await reply).toMatchObject(CUT);
});

const pairs: [NodeJS.Signals, NodeJS.Signals][] = [
  ["SIGINT", "SIGTERM"],
  ["SIGTERM", "SIGTERM"],
  ["SIGINT", "SIGINT"],
  ["SIGTERM", "SIGINT"],
];
it.concurrent.each(
  pairs,
)("%s and %s within a second count as one: nothing under way is lost", async (first, second) => {
  const { program, url, under } = await run({
    servers: [{ drain: { idleGraceMs: 100, deadlineMs: 5_000 } }],
  });
  const { reply } = await under("/slow");
  program.child.kill(first);
  await program.saying("record"); // it has received the first
  for (let i = 0; i < 3; i++) program.child.kill(second);
  expect(await stopsListening(url)).toBe(true);
  expect(await program.saying("listenedLoopMs")).toBeLessThan(200);
  program.child.kill(second);
  expect(await reply).toMatchObject(SLOW);
  expect(await program.exit).toBe(0);
  expect(program.all("closed")).toEqual([{ forced: false }]);
});

it.concurrent("another signal, a second later, ends it during the delay as well", async () => {
  const { program, url } = await run({ servers: [{ drain: { delayMs: 20_000 } }] });
  program.child.kill("SIGTERM");
  await program.saying("record");
  expect(await send(url)).toMatchObject({ status: 200 }); // it continues to serve meanwhile
  await another();
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(143);
});

it.concurrent("with signals: false only the program handles them", async () => {
  const { program } = await run({ servers: [{ signals: false }] });
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe("SIGTERM");
  expect(program.all("closed")).toEqual([]);
});

it.concurrent("other signals can be chosen", async () => {
  const { program, under } = await run({ servers: [{ signals: ["SIGUSR2"] }] });
  const { reply } = await under("/slow");
  program.child.kill("SIGUSR2");
  expect(await reply).toMatchObject(SLOW);
  expect(await program.exit).toBe(0);
});

it.concurrent("with other signals chosen, the default ones end the process at once, as without serve", async () => {
  const { program } = await run({ servers: [{ signals: ["SIGUSR2"] }] });
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe("SIGTERM");
});

it.concurrent("code that awaits closed has time to clean up", async () => {
  const { program } = await run({ afterwards: "clean up" });
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(0);
  expect(program.all("cleaned")).toEqual([true]);
  expect(program.all("sinceClosed")[0].loopMs).toBeLessThan(900);
});

it.concurrent("the clean-up has at most a second, whatever keeps the process alive", async () => {
  const { program } = await run({ alive: true });
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(0);
  const [{ ms, loopMs }] = program.all("sinceClosed");
  expect(ms).toBeGreaterThan(900);
  expect(loopMs).toBeLessThan(1_800);
});

it.concurrent("a clean-up that fails is an uncaught error: logged once, exit code 1", async () => {
  const { program } = await run({ afterwards: "fail" });
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(1);
  expect(program.all("record").filter(({ level }) => level === "error")).toEqual([
    expect.objectContaining({ error: expect.objectContaining({ message: "the clean-up failed" }) }),
  ]);
  expect(program.stderr()).toBe("");
});

it.concurrent("an exit code that the program has set stays", async () => {
  const { program } = await run({ afterwards: "note a failure" });
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(7);
});

it.concurrent("an uncaught error during the shutdown makes the exit code 1", async () => {
  const { program, url, under } = await run({ servers: [{ drain: { delayMs: 100, idleGraceMs: 100 } }] });
  const { reply } = await under("/slow");
  program.child.kill("SIGTERM");
  await program.saying("record");
  expect(await send(`${url}/uncaught`)).toMatchObject({ status: 200, body: "fine" });
  expect(await reply).toMatchObject(SLOW);
  expect(await program.exit).toBe(1);
  expect(program.all("record").filter(({ level }) => level === "error")).toHaveLength(1);
});

it.concurrent("after an uncaught error the first signal changes nothing, and the second one ends it", async () => {
  const { program, url, under } = await run({ servers: [{ drain: { deadlineMs: 20_000 } }] });
  const slow = await under("/slow");
  const endless = await under("/endless");
  await send(`${url}/uncaught`);
  expect(await stopsListening(url)).toBe(true);
  expect(await program.saying("listenedLoopMs")).toBeLessThan(200);
  program.child.kill("SIGTERM");
  expect(await slow.reply).toMatchObject(SLOW);
  await another();
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(143);
  expect(await endless.reply).toMatchObject(CUT);
});

it.concurrent("a signal closes all servers of the process: none loses a response", async () => {
  const running = await run({ servers: [{}, { signals: false }, { signals: ["SIGUSR2"] }] });
  const under = [
    await running.under("/slow", 0),
    await running.under("/slow", 1),
    await running.under("/slow", 2),
  ];
  running.program.child.kill("SIGTERM");
  for (const { reply } of under) expect(await reply).toMatchObject(SLOW);
  expect(await running.program.exit).toBe(0);
  const closed = running.program.all("record").filter(({ message }) => message === "closed");
  expect(closed.map(({ url }) => url).sort()).toEqual([...running.urls].sort()); // which of them
});

const late: [string, number, string][] = [
  ["while another one closes", 10, "/slow"],
  ["when the others have closed, and the process is about to end", 500, "/"],
];
it.concurrent.each(late)("a server that is added %s is drained like them", async (_when, lateMs, path) => {
  const { program, under } = await run({ lateMs, alive: true });
  const { reply } = await under(path);
  program.child.kill("SIGTERM");
  expect(await reply).toMatchObject({ status: 200 });
  expect(await program.exit).toBe(0);
  expect(program.all("late")).toEqual([{ body: "slow", connection: "close" }]);
  expect(program.all("lateClosed")).toEqual([{ forced: false }]);
  expect(messages({ program } as Running).filter((message) => message === "closed")).toHaveLength(2);
});

it.concurrent("a server that is added after an uncaught error closes at once, for that reason", async () => {
  const { program, url } = await run({ lateMs: 10, servers: [{ drain: { idleGraceMs: 100 } }] });
  await send(`${url}/uncaught`);
  expect(await program.exit).toBe(1);
  expect(program.all("lateClosed")).toEqual([{ forced: false, error: "boom" }]);
});

const owners: [string, number][] = [
  ["of its own", 1],
  ["of its workers", 2],
];
it.concurrent.each(
  owners,
)("another signal during the delay leaves no file of a Unix socket %s", async (_whose, workers) => {
  const folder = mkdtempSync(join(tmpdir(), "express-portico-"));
  const port = join(folder, "app.sock");
  const server = { port, workers, drain: { delayMs: 20_000 } };
  const { program } = await run({ servers: [server] });
  await until(() => program.all("urls").length === (workers === 1 ? 1 : workers + 1)); // each prints its own
  expect(existsSync(port)).toBe(true);
  program.child.kill("SIGTERM");
  await program.saying("record");
  await another();
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(143);
  expect(existsSync(port)).toBe(false);
  rmSync(folder, { recursive: true });
});

it("importing installs nothing, and a closed server leaves nothing behind", async () => {
  const program = start("signals-listeners.mjs");
  const looks = await program.saying("looks");
  const { before } = looks;
  const ours = { uncaughtException: 1, SIGTERM: 1, SIGINT: 1 };
  const listeners = (name: string) => {
    const rest = { ...looks[name].listeners };
    for (const [event, count] of Object.entries<number>(before.listeners)) rest[event] -= count;
    return Object.fromEntries(Object.entries(rest).filter(([, count]) => count !== 0));
  };
  expect(looks.imported).toEqual(before);
  expect(listeners("serving")).toEqual(ours);
  expect(listeners("both")).toEqual({ ...ours, SIGUSR2: 1 });
  expect(listeners("left")).toEqual({ uncaughtException: 1, SIGTERM: 1, SIGUSR2: 1 });
  expect(looks.closed).toEqual(before);
  expect(listeners("reserved")).toEqual(ours);
  expect(looks.reclosed).toEqual(before);
  expect(listeners("silent")).toEqual({});
  expect(await program.exit).toBe(0); // by itself
  expect(program.stderr()).toBe("");
});

it("a server whose log cannot be written, as its reader has gone, ends and does not log its own errors for ever", async () => {
  const { program, url } = await run();
  program.child.stdout!.destroy();
  const ended = program.exit;
  await send(`${url}/fast`); // whatever it writes to its log now fails
  program.child.kill("SIGTERM");
  await expect(ended).resolves.not.toBe("SIGKILL");
});
