const express = require("express");

module.exports = (async () => {
  const app = express();
  app.get("/", (_req, res) => void res.send("x"));
  return app;
})();
