import http from "node:http";
import https from "node:https";
import { workerData } from "node:worker_threads";

// Sends requests at a fixed rate, whether or not they are answered, as the clients of a real app do.
const { url, perSecond, seconds } = workerData;
const { Agent, get } = url.startsWith("https:") ? https : http;
const agent = new Agent({ keepAlive: true, maxSockets: 256, rejectUnauthorized: false });
const began = performance.now();
let sent = 0;

const timer = setInterval(() => {
  const elapsed = (performance.now() - began) / 1_000;
  for (; sent < Math.min(elapsed, seconds) * perSecond; sent++) {
    get(url, { agent, timeout: 5_000 }, (response) => response.resume())
      .on("timeout", function () {
        this.destroy();
      })
      .on("error", () => {});
  }
  if (elapsed < seconds) return;
  clearInterval(timer);
  agent.destroy();
}, 10);
