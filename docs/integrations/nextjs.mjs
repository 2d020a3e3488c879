import express from "express";
import { portico, serve } from "express-portico";
import next from "next";

/** Starts Next in a custom server, in place of `next start` and `next dev`. */
export async function start(nextOptions, options, serveOptions) {
  const { dev } = nextOptions;
  const pages = next(nextOptions);
  await pages.prepare();
  const handle = pages.getRequestHandler();

  const { before, after } = portico({
    headers: { preset: "page" },
    ...options,
    // Next's development tools need eval and inline styles, and a page may be compiled for longer than the timeout.
    ...(dev && { headers: false, timeout: false }),
  });
  const app = express();
  app.use(before);
  app.use((req, res) => {
    const policy = res.getHeader("Content-Security-Policy");
    if (policy !== undefined) req.headers["content-security-policy"] = String(policy); // Next reads the nonce from it
    return handle(req, res);
  });
  app.use(after);

  const served = await serve(app, serveOptions);
  if (dev) {
    // Next itself accepts the WebSocket of hot reloading. Open, it would keep the server until the deadline.
    served.server.on("upgrade", (_req, socket) => {
      served.closing.addEventListener("abort", () => socket.destroy());
    });
  }
  served.closed.then(() => pages.close());
  return served;
}
