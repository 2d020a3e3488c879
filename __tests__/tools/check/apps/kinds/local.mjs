import express from "express";

export const app = express();
app.get("/", (_req, res) => void res.send("x"));
app.listen(0, "127.0.0.1");
