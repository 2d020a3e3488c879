import express from "express";

const metrics = express();
metrics.get("/metrics", (_req, res) => void res.send("x"));
metrics.listen(9_090);
const app = express();
app.get("/", (_req, res) => void res.send("x"));
app.get("/users", (_req, res) => void res.send("x"));
app.listen(0);
