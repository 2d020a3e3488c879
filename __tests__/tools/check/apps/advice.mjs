import express from "express";

const app = express();
app.get("/", (_req, res) => void res.send("x"));
export default app;
