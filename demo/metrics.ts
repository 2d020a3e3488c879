import cluster from "node:cluster";
import express, { type Express } from "express";
import { notFound, recover } from "express-portico";
import { AggregatorRegistry, type Registry } from "prom-client";

/** What Prometheus reads, on a port of its own, which no client of the app reaches. With workers it is the sum of theirs. */
export function metricsApp(registry: Registry, workers: AggregatorRegistry<never> | undefined): Express {
  const app = express();
  app.disable("x-powered-by");
  app.get("/metrics", async (_req, res) => {
    const text = await (workers?.clusterMetrics() ?? registry.metrics());
    res.type(registry.contentType).send(text);
  });
  app.use(notFound());
  app.use(recover());
  return app;
}

/** Made in the primary and in each worker: in a worker it answers the primary. */
export function aggregator(
  registry: Registry,
  workers: number | "auto",
): AggregatorRegistry<never> | undefined {
  if (workers === 1) return undefined;
  AggregatorRegistry.setRegistries(registry);
  const all = new AggregatorRegistry<never>();
  return cluster.isPrimary ? all : undefined;
}
