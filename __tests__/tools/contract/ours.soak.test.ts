import { expressVersions } from "../../support/express.js";
import { contractOfDemo, failuresOf, inProduction } from "./demo-parts.js";

inProduction();

describe.each(expressVersions)("with %s", (_name, express) => {
  it("an app with this package's middleware passes the contract", async () => {
    const cases = contractOfDemo((parts) => parts, express);
    expect(cases.length).toBeGreaterThan(40);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    expect(await failuresOf(cases)).toEqual({});
  });
});
