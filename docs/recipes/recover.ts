import type { ErrorRequestHandler } from "express";

/** Answers whatever was thrown with a 500, and closes the connection. Last in the app, after the router. */
export const recoverPanic: ErrorRequestHandler = (error, req, res, _next) => {
  console.error(`${req.method} ${req.path}`, error);
  if (res.headersSent) {
    res.destroy(); // the head is out: all that can be done is to show that the body is not whole
    return;
  }
  res.setHeader("Connection", "close");
  res.status(500).type("text/plain").send("Internal Server Error\n");
};
