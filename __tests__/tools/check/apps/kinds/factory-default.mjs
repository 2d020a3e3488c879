import express from "express";

export default () => {
  const app = express();
  app.get("/", (_req, res) => void res.send("x"));
  return app;
};
