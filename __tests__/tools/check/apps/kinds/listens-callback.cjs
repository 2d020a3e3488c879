const express = require("express");
const http = require("node:http");

const app = express();
app.get("/", (_req, res) => void res.send("x"));
const server = http.createServer(app);
server.listen(process.env.PORT, () => {
  console.log("a port is open", server.address().port);
});
app.get("/added-later", (_req, res) => void res.send("x"));
