import express from "express";

setImmediate(() => {
  throw new Error("no database");
});
await new Promise(() => setTimeout(() => {}, 10_000));
export default express();
