import express from "express";

export const closeApp = () => process.exit(3);
export async function createApp({ greeting = "x" } = {}) {
  await new Promise((resolve) => setTimeout(resolve, 5));
  const app = express();
  app.get("/", (_req, res) => void res.send(greeting));
  return { app, close: closeApp };
}
