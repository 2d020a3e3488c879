import cors from "cors";
import express, { type RequestHandler } from "express";
import helmet from "helmet";
import morgan from "morgan";
import { findUser, router } from "./service.js";

const checkKey: RequestHandler = async (req, res, next) => {
  if (await findUser(req.get("x-api-key") ?? "")) next();
  else res.status(401).send("Who are you?");
};

export const app = express();
app.use(morgan("combined"));
app.use(helmet());
app.use(checkKey);
app.use(cors({ origin: "https://app.example", credentials: true }));
app.use(router);
