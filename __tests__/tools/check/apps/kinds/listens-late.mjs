import express from "express";

async function connect() {
  await new Promise((resolve) => setTimeout(resolve, 30));
}
async function main() {
  await connect();
  const app = express();
  app.get("/", (_req, res) => void res.send("x"));
  app.listen(0);
}
main();
