import { contract } from "../../../tools/contract/index.js";
import {
  contractOfDemo,
  demoExpectations,
  demoParts,
  failuresOf,
  inProduction,
  mount,
} from "./demo-parts.js";
import { found } from "./faults/found.js";
import { faults, STUMBLES } from "./faults/index.js";

inProduction();

it("every fault has the cases that must find it", () => {
  expect(Object.keys(faults).length).toBeGreaterThanOrEqual(25);
  expect(Object.keys(found).sort()).toEqual(Object.keys(faults).sort());
  for (const [fault, cases] of Object.entries(found))
    expect([fault, cases.length > 0]).toEqual([fault, true]);
});

it("every case is the one to find some fault", () => {
  const finding = new Set(Object.values(found).flat());
  const idle = contractOfDemo((parts) => parts).filter(({ name }) => !finding.has(name));
  expect(idle.map(({ name }) => name)).toEqual([]);
});

it.each(Object.entries(faults))(
  "%s",
  async (fault, plant) => {
    const lines: string[] = [];
    const app = mount(plant(demoParts(lines), lines));
    const failures = await failuresOf(contract(app, demoExpectations(lines, 1_000)), fault !== STUMBLES);
    const unforeseen = Object.entries(failures).filter(([name]) => !found[fault]?.includes(name));
    expect(unforeseen).toEqual([]); // with what they say
    expect(Object.keys(failures)).toEqual(found[fault]);
  },
  30_000,
);
