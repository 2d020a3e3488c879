const express = require("express");
const http = require("node:http");

const app = express();
app.get("/", (_req, res) => void res.send("x"));
exports.server = http.createServer(app);
