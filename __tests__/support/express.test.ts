import express5 from "express";
import { express4, expressWithRouter22 } from "./express.js";

it("the versions of Express are those with router 2.3, with router 2.2, and Express 4", () => {
  const older = expressWithRouter22();
  const layer = (express: typeof express5) => {
    const app = express();
    app.use("/x", (_req, _res, next) => next());
    return (app.router as unknown as { stack: object[] }).stack.at(-1)!;
  };
  expect("rawPath" in layer(express5)).toBe(true);
  expect("rawPath" in layer(older)).toBe(false);
  expect(() => express4().router).toThrow(/deprecated/);
});
