import express, { type Express } from "express";
import { path } from "./typed-path.js";

enum Status {
  Fine = 200,
}
export const app: Express = express();
app.get(path as string, (_req, res) => void res.sendStatus(Status.Fine));
