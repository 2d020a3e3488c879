import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** A Redis for the tests: on a Unix socket in a temporary directory, in memory only. */
export interface RedisServer {
  readonly path: string;
  /** Kills it without a shutdown, like a power failure. */
  kill(): Promise<void>;
  /** Starts it again on the same socket, empty. */
  start(): Promise<void>;
  /** Stops it and removes its directory. */
  close(): Promise<void>;
}

const binary = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"]
  .map((directory) => join(directory, "redis-server"))
  .find((file) => existsSync(file));

/** `describe` for tests that need redis-server: without it they fail in CI, and are skipped elsewhere. */
export function describeWithRedis(name: string, body: () => void): void {
  if (binary !== undefined) {
    describe(name, body);
  } else if (process.env.CI === "true") {
    test(`${name}: needs redis-server`, () => {
      throw new Error("redis-server is not installed (Debian: apt-get install redis-server)");
    });
  } else {
    console.warn(`SKIPPED, no redis-server is installed: ${name}`);
    describe.skip(name, body);
  }
}

export async function startRedis(): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), "portico-redis-"));
  const path = join(directory, "redis.sock");
  let child: ChildProcess | undefined;
  const server: RedisServer = {
    path,
    async start() {
      // "--save" "": write nothing to disk; "enable-debug-command": for DEBUG SLEEP.
      const args = [
        "--port",
        "0",
        "--unixsocket",
        path,
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        directory,
      ];
      child = spawn(binary!, [...args, "--enable-debug-command", "yes"], { stdio: "ignore" });
      await answers(path, child);
    },
    async kill() {
      const dying = child;
      child = undefined;
      if (dying === undefined || dying.exitCode !== null) return;
      const dead = new Promise((resolve) => dying.once("exit", resolve));
      dying.kill("SIGKILL");
      await dead;
      rmSync(path, { force: true });
    },
    async close() {
      await server.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

/** Resolves when the server answers a PING. */
async function answers(path: string, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
    const answered = await new Promise<boolean>((resolve) => {
      const socket = net.connect(path, () => socket.write("PING\r\n"));
      socket.on("data", (data) => {
        socket.destroy();
        resolve(data.toString().startsWith("+PONG"));
      });
      socket.on("error", () => resolve(false));
    });
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
