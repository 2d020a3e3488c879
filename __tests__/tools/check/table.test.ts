import { checkPipeline } from "../../../tools/check/index.js";
import { expressVersions } from "../../support/express.js";
import { never } from "./never.js";
import { rightApps } from "./right-apps.js";
import { wrongApps } from "./wrong-apps.js";

describe.each(expressVersions)("%s", (_version, express) => {
  beforeEach(() => jest.spyOn(console, "warn").mockImplementation(never));
  afterEach(() => jest.restoreAllMocks());

  it.each(Object.entries(rightApps))("reports nothing for %s", (_name, build) => {
    const app = express();
    build(app, express);
    expect(checkPipeline(app)).toEqual([]);
  });

  it.each(Object.entries(wrongApps))("finds the fault of %s", (_name, [build, ...expected]) => {
    const app = express();
    build(app, express);
    expect(checkPipeline(app).map(({ rule, level, at }) => `${level} ${rule}: ${at}`)).toEqual(expected);
  });
});

it("has a table of more than forty apps", () => {
  expect(Object.keys(rightApps).length + Object.keys(wrongApps).length).toBeGreaterThan(40);
});
