const express = require("express");

const app = express();
app.get("/", (_req, res) => void res.send("x"));
module.exports = { start: () => process.exit(3), app };
