import express from "express";

if (process.env.CHECKED_APP_KEY === undefined) throw new Error('"CHECKED_APP_KEY" is required');
export const app = express();
app.get("/", (_req, res) => void res.send("x"));
