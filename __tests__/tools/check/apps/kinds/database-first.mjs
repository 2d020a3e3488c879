// Makes its app when its database has answered: an echo server of another process, which takes three seconds.
import { spawn } from "node:child_process";
import net from "node:net";
import express from "express";

const program = `
  const server = require("node:net").createServer((socket) => {
    server.close();
    setTimeout(() => socket.end("ready"), 3000);
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));`;
const database = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "ignore"] });
database.stdout.once("data", (port) => {
  net.connect(Number(port), "127.0.0.1").once("data", () => {
    const app = express();
    app.get("/", (_req, res) => void res.send("ready"));
    app.listen(0, "127.0.0.1");
  });
});
