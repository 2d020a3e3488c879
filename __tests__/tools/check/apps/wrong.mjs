import cors from "cors";
import express from "express";

export const app = express();
app.use(express.json());
app.use(cors());
app.get('/<b>&"', function page(_req, res) {
  res.send("x");
});
app.use((_error, _req, res, _next) => void res.status(500).send("no"));
