import { initTRPC, TRPCError, tracked } from "@trpc/server";
import { serve } from "express-portico";
import { z } from "zod";
import { type createContext, trpcApp } from "../../../docs/integrations/trpc.js";

const print = (fields: object) => console.log(JSON.stringify(fields));
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const t = initTRPC.context<typeof createContext>().create({ sse: { ping: { enabled: false } } });
const router = t.router({
  greet: t.procedure.input(z.string()).query(({ input, ctx }) => `Hello ${input}, ${typeof ctx.id}`),
  long: t.procedure.query(() => "compressible ".repeat(500)),
  add: t.procedure.input(z.number()).mutation(({ input }) => input + 1),
  missing: t.procedure.query(() => {
    throw new TRPCError({ code: "NOT_FOUND", message: "There is no such order." });
  }),
  broken: t.procedure.query(async () => {
    throw new Error("the database is gone");
  }),
  never: t.procedure.query(() => new Promise<string>(() => {})),
  /** Answers a while after the server has begun to close. */
  last: t.procedure.query(async ({ ctx }) => {
    print({ waiting: "last" });
    await new Promise((resolve) => ctx.closing.addEventListener("abort", resolve));
    await wait(100);
    return "the last one";
  }),
  /** Sends for longer than the timeout; ends when the server closes. */
  ticks: t.procedure.subscription(async function* ({ ctx, signal }) {
    try {
      for (let i = 1; i <= 6 && !ctx.closing.aborted && !signal?.aborted; i++) {
        yield tracked(String(i), i);
        await wait(450);
      }
      await Promise.race([
        new Promise((resolve) => ctx.closing.addEventListener("abort", resolve)),
        new Promise((resolve) => signal?.addEventListener("abort", resolve)),
      ]);
    } finally {
      print({ left: "ticks" });
    }
  }),
});
export type Router = typeof router;

const logger = {
  debug: () => {},
  info: (fields: object, message: string) => print({ ...fields, message }),
  warn: (fields: object, message: string) => print({ ...fields, message }),
  error: (fields: object, message: string) => print({ ...fields, message }),
};
const app = trpcApp(router, {
  logger,
  cors: { origin: "https://app.example", credentials: true },
  csrf: {},
  compress: {},
  timeout: 2_000,
  bodyLimit: "10kb",
});
print({ url: (await serve(app, { port: 0, host: "127.0.0.1" })).url });
