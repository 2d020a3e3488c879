// The load, as a process: it sends requests at a fixed rate, whatever the server does with them (open loop), each on a
// connection that is free or new. Asked by messages { port, perSecond, ms, closed }.
import net from "node:net";

const GOOD_MS = 200;
const LOST_MS = 10_000;
const REQUEST = Buffer.from("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");

process.on("disconnect", () => process.exit());
process.on("message", async (job) => process.send(await (job.closed ? capacity(job) : offer(job))));

/** Answers per second with a few requests at a time. */
async function capacity({ port, ms, closed }) {
  const pool = new Pool(port);
  const endMs = performance.now() + ms;
  let answers = 0;
  const one = async () => {
    while (performance.now() < endMs) {
      const { status } = await pool.ask();
      if (status === 200) answers++;
    }
  };
  await Promise.all(Array.from({ length: closed }, one));
  pool.close();
  return { perSecond: answers / (ms / 1_000) };
}

/** Requests at random times (Poisson), so many per second on average. The first part is a warm-up that does not count. */
async function offer({ port, perSecond, ms, warmUpMs }) {
  const pool = new Pool(port);
  const startMs = performance.now();
  const counted = { good: 0, late: 0, refused: 0, lost: 0 };
  const times = [];
  const pending = [];
  let dueMs = startMs;
  while (dueMs < startMs + warmUpMs + ms) {
    dueMs += -Math.log(1 - Math.random()) * (1_000 / perSecond);
    while (performance.now() < dueMs) await new Promise((resolve) => setTimeout(resolve, 1));
    const due = dueMs;
    const counts = due >= startMs + warmUpMs;
    pending.push(
      pool.ask().then(({ status }) => {
        if (!counts) return;
        const tookMs = performance.now() - due;
        if (status === 200) times.push(tookMs);
        if (status === 200 && tookMs <= GOOD_MS) counted.good++;
        else if (status === 200) counted.late++;
        else if (status === 503) counted.refused++;
        else counted.lost++;
      }),
    );
  }
  await Promise.race([Promise.all(pending), new Promise((resolve) => setTimeout(resolve, LOST_MS))]);
  pool.close();
  times.sort((a, b) => a - b);
  const share = (count) => count / (ms / 1_000);
  return {
    good: share(counted.good),
    late: share(counted.late),
    refused: share(counted.refused),
    lost: share(counted.lost),
    p50: times[Math.floor(times.length / 2)],
    p99: times[Math.floor(times.length * 0.99)],
  };
}

class Pool {
  free = [];
  all = new Set();

  constructor(port) {
    this.port = port;
  }

  /** Never rejects: status 0 is a connection that failed. */
  ask() {
    return new Promise((resolve) => {
      const client = this.free.pop() ?? this.open();
      client.resolve = resolve;
      client.socket.write(REQUEST);
    });
  }

  open() {
    const socket = net.connect(this.port, "127.0.0.1").setNoDelay();
    const client = { socket, resolve: undefined };
    this.all.add(client);
    let text = "";
    const settle = (status) => {
      const { resolve } = client;
      client.resolve = undefined;
      resolve?.({ status });
    };
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1]);
      if (text.length < end + 4 + length) return;
      const status = Number(text.slice(9, 12));
      text = "";
      if (client.socket.writable) this.free.push(client);
      settle(status);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.all.delete(client);
      this.free = this.free.filter((one) => one !== client);
      settle(0);
    });
    return client;
  }

  close() {
    for (const { socket } of this.all) socket.destroy();
  }
}
