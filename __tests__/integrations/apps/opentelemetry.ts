import { metrics } from "@opentelemetry/api";
import express from "express";
import { contextOf, portico, serve, timeout } from "express-portico";

const { before, after } = portico({
  log: { schema: "otel" },
  metrics: { meter: metrics.getMeter("express-portico") },
});
const app = express();
if (process.env.FAULTY === "1") app.use(express.json());
app.use(before, express.json());
const orders = express.Router({ mergeParams: true });
orders.get("/:id", async (req, res) => {
  const inner = await fetch(`${url}/inner`, { headers: { traceparent: String(contextOf(req).trace) } });
  res.json(await inner.json());
});
orders.get("/:id/broken", async () => {
  throw new TypeError("the order is broken");
});
app.use("/api/:tenant/orders", orders);
app.get("/inner", (req, res) => void res.json({ traceparent: req.headers.traceparent ?? null }));
app.get("/never", timeout(300), () => {});
app.use(after);

const { url, closed } = await serve(app, { port: 0, host: "127.0.0.1" });
console.log(JSON.stringify({ url }));
await closed;
await (globalThis as unknown as { printMetrics(): Promise<void> }).printMetrics();
