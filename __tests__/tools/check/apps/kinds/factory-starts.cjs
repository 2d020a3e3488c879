const express = require("express");

exports.bootstrap = async function bootstrap() {
  const app = express();
  app.get("/", (_req, res) => void res.send("x"));
  await new Promise((resolve) => app.listen(0, resolve));
};
