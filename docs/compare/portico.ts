import express from "express";
import { apiKey, authenticate, portico } from "express-portico";
import { findUser, router } from "./service.js";

const { before, after } = portico({
  log: { format: "combined" },
  cors: { origin: "https://app.example", credentials: true },
});

export const app = express();
app.use(before);
app.use(authenticate(apiKey({ verify: findUser })));
app.use(router);
app.use(after);
