import express from "express";

class Api {
  express = express();
  constructor() {
    this.express.get("/", (_req, res) => void res.send("x"));
  }
}
export default new Api();
