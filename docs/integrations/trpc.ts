import { type AnyTRPCRouter, TRPCError } from "@trpc/server";
import { type CreateExpressContextOptions, createExpressMiddleware } from "@trpc/server/adapters/express";
import { getHTTPStatusCodeFromError } from "@trpc/server/http";
import express from "express";
import { contextOf, type PorticoOptions, portico } from "express-portico";

/** The context of procedures: ours, with the request's id, its signal and its user. */
export const createContext = ({ req }: CreateExpressContextOptions) => contextOf(req);

/** An app with a tRPC router at `/trpc`. */
export function trpcApp(router: AnyTRPCRouter, options: PorticoOptions): express.Express {
  const { before, after } = portico(options);
  const app = express();
  app.use(before);
  app.use(
    "/trpc",
    createExpressMiddleware({
      router,
      createContext,
      onError({ error, req, path }) {
        // tRPC answers errors itself, so the request log has their status only.
        if (getHTTPStatusCodeFromError(error) < 500) return;
        options.logger?.error(
          { procedure: path, requestId: contextOf(req).id, error: String(causeOf(error)) },
          "failed",
        );
      },
    }),
  );
  app.use(after);
  return app;
}

function causeOf(error: TRPCError): unknown {
  return error instanceof TRPCError ? (error.cause ?? error) : error;
}
