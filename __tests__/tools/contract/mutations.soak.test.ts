import { contractOfDemo, inProduction } from "./demo-parts.js";
import { accessFaults } from "./faults/access.js";
import { edgeFaults } from "./faults/edge.js";
import { findEach } from "./faults/finding.js";
import { found } from "./faults/found.js";
import { faults } from "./faults/index.js";
import { logAndUserFaults } from "./faults/log-and-users.js";

inProduction();

it("every fault has cases that find it", () => {
  expect(Object.keys(faults).length).toBeGreaterThanOrEqual(25);
  expect(Object.keys(found).sort()).toEqual(Object.keys(faults).sort());
  for (const [fault, cases] of Object.entries(found))
    expect([fault, cases.length > 0]).toEqual([fault, true]);
});

it("every case finds a fault", () => {
  const finding = new Set(Object.values(found).flat());
  const idle = contractOfDemo((parts) => parts).filter(({ name }) => !finding.has(name));
  expect(idle.map(({ name }) => name)).toEqual([]);
});

findEach({ ...accessFaults, ...logAndUserFaults, ...edgeFaults });
