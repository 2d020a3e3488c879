import { oneIn } from "../support/soak.js";
import { injectors, overTcp } from "./support.js";
import { CALLS, type Seen, STACKS, see } from "./table.js";

/** What a lane of the tests runs of the stacks. */
const stacks = oneIn(3, Object.keys(STACKS));

// light-my-request puts its own prototypes behind all of Express's requests, in the whole process: what a server answers
// must be known before.

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
