import type { ApolloServer } from "@apollo/server";
import { expressMiddleware } from "@as-integrations/express5";
import express from "express";
import { type PorticoOptions, portico, type Served, type ServeOptions, serve } from "express-portico";

/** Serves Apollo at `/graphql`. Make the server with `stopOnTerminationSignals: false`: `serve` has the signals. */
export async function start(
  apollo: ApolloServer,
  options: PorticoOptions,
  serveOptions: ServeOptions,
): Promise<Served> {
  await apollo.start();
  const { before, after } = portico(options);
  const app = express();
  app.use(before);
  app.use("/graphql", express.json(), expressMiddleware(apollo));
  app.use(after);
  const served = await serve(app, serveOptions);
  served.closed.then(() => apollo.stop()); // its plugins' serverWillStop and drainServer
  return served;
}
