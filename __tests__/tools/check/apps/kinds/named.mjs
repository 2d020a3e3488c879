import express from "express";

const app = express();
app.get("/", (_req, res) => void res.send("x"));
export { app as handlers };
export const close = () => process.exit(3);
