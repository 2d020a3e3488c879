import express from "express";

const app = express();
await new Promise((resolve) => {
  app.listen(0, () => {
    console.log("a port is open");
    resolve();
  });
});
export default app;
