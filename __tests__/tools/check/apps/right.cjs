const express = require("express");
const cors = require("cors");

const app = express();
app.use(cors());
app.get("/", (_req, res) => void res.send("x"));
app.use((_error, _req, res, _next) => void res.status(500).send("no"));
setInterval(() => {}, 1_000); // as an app with a database has
module.exports = app;
