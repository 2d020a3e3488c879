import type { ErrorRequestHandler } from "express";

/** Answers every error with a 500 and closes the connection. Goes last in the app, after the router. */
export const recoverPanic: ErrorRequestHandler = (error, req, res, _next) => {
  console.error(`${req.method} ${req.path}`, error);
  if (res.headersSent) {
    res.destroy(); // the status was sent already: show the client that the body is not whole
    return;
  }
  res.setHeader("Connection", "close");
  res.status(500).type("text/plain").send("Internal Server Error\n");
};
