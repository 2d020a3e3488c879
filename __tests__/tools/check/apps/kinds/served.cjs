const express = require("express4");
const { serve } = require("../../../../../src/index.ts");

const app = express();
app.get("/", async (_req, res) => void res.send("x"));
app.use((_error, _req, res, _next) => void res.status(500).send("no"));
serve(app, { port: 0 });
