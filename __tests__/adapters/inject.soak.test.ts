import { oneIn } from "../support/soak.js";
import { injectors, overTcp } from "./support.js";
import { CALLS, type Seen, STACKS, see } from "./table.js";

/** All stacks in the soak tests, a third of them in `npm test`. */
const stacks = oneIn(3, Object.keys(STACKS));

// light-my-request changes the prototypes of all Express requests of the process, so the responses of a server are collected
// first.

const expected = new Map<string, Seen>();

beforeAll(async () => {
  for (const stack of stacks) {
    for (const [kind, call] of Object.entries(CALLS)) {
      expected.set(`${stack} | ${kind}`, await see(overTcp, stack, call));
    }
  }
}, 60_000);

describe.each(injectors)("$name answers as a server does", (adapter) => {
  test.each(stacks)("with %s", async (stack) => {
    for (const [kind, call] of Object.entries(CALLS)) {
      const seen = await see(adapter, stack, call);
      expect({ kind, ...seen }).toEqual({ kind, ...expected.get(`${stack} | ${kind}`) });
    }
  });
});
