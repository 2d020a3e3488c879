import { expressVersions } from "./express.js";

it("the list of Express versions has routers 2.3 and 2.2, and Express 4", () => {
  const [current, older, four] = expressVersions.map(([, express]) => express);
  const layer = (express: NonNullable<typeof current>) => {
    const app = express();
    app.use("/x", (_req, _res, next) => next());
    return (app.router as unknown as { stack: object[] }).stack.at(-1)!;
  };
  expect("rawPath" in layer(current!)).toBe(true);
  expect("rawPath" in layer(older!)).toBe(false);
  expect(() => four!().router).toThrow(/deprecated/);
});
