import http from "node:http";
import express from "express";

const app = express();
app.get("/", (_req, res) => void res.send("x"));
http.createServer((req, res) => app(req, res)).listen(0);
