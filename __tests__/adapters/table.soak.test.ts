import { overTcp, servers } from "./support.js";
import { CALLS, type Seen, STACKS, see } from "./table.js";

/** What a lane of the tests runs of the stacks. */
const stacks = Object.keys(STACKS);

const expected = new Map<string, Promise<Seen>>();

function onServer(stack: string, kind: string): Promise<Seen> {
  const key = `${stack} | ${kind}`;
  const seen = expected.get(key) ?? see(overTcp, stack, CALLS[kind]!);
  expected.set(key, seen);
  return seen;
}

describe.each(servers)("$name answers as a server does", (adapter) => {
  test.each(stacks)("with %s", async (stack) => {
    for (const [kind, call] of Object.entries(CALLS)) {
      const seen = await see(adapter, stack, call);
      expect({ kind, ...seen }).toEqual({ kind, ...(await onServer(stack, kind)) });
    }
  });
});
