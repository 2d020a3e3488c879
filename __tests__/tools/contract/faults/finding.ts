import { type Case, contract } from "../../../../tools/contract/index.js";
import { oneIn } from "../../../support/soak.js";
import { demoExpectations, demoParts, failuresOf, isAlone, isSlow, mount } from "../demo-parts.js";
import { found } from "./found.js";
import { STUMBLES } from "./log-and-users.js";
import type { Plant } from "./planting.js";

/** Cases that must fail may fail by waiting for so long; those that must pass wait as long as a busy machine needs. */
const HASTY_MS = 1_000;

/**
 * Plants each fault in an app of its own, and expects that the cases of `found` fail, and no others. In `npm test` one fault in
 * ten.
 */
export function findEach(faults: Readonly<Record<string, Plant>>): void {
  it.each(oneIn(10, Object.entries(faults)))("%s", async (fault, plant) => {
    const failures = await (fault === STUMBLES
      ? failuresInOrder(fault, plant)
      : failuresAtOnce(fault, plant));
    const unforeseen = Object.entries(failures).filter(([name]) => !found[fault]?.includes(name));
    expect(unforeseen).toEqual([]); // with what they say
    expect(Object.keys(failures)).toEqual(found[fault]);
  });
}

/** The contract's cases over a new app with the fault. */
function casesWith(fault: string, plant: Plant): Case[] {
  const lines: string[] = [];
  const app = mount(plant(demoParts(lines), lines));
  const patient = contract(app, demoExpectations(lines));
  const hasty = contract(app, demoExpectations(lines, HASTY_MS));
  const waitsInVain = (name: string) =>
    found[fault]?.includes(name) || (fault === "no log" && name === "the log has no credentials");
  const all = patient.map((one, i) => (waitsInVain(one.name) ? hasty[i]! : one));
  // Of those that must pass, one in ten is enough in `npm test`.
  const passing = new Set(
    oneIn(
      10,
      all.filter((one) => !found[fault]?.includes(one.name)),
    ),
  );
  return fault === STUMBLES ? all : all.filter((one) => found[fault]?.includes(one.name) || passing.has(one));
}

const failuresInOrder = (fault: string, plant: Plant) => failuresOf(casesWith(fault, plant), false);

/** Cases that count the lines of the log, or whose client leaves, have an app each, so that they need not wait. */
async function failuresAtOnce(fault: string, plant: Plant): Promise<Record<string, string>> {
  const cases = casesWith(fault, plant).map((one, i) => (isAlone(one) ? casesWith(fault, plant)[i]! : one));
  const isSending = ({ name }: Case) => name.includes("still sending");
  const isFirst = (one: Case) => !isAlone(one) && !isSlow(one);
  const failures = [await failuresOf(cases.filter(isFirst)), await failuresOf(cases.filter(isSending))];
  const rest = cases.filter((one) => !isFirst(one) && !isSending(one));
  failures.push(...(await Promise.all(rest.map((one) => failuresOf([one])))));
  const all: Record<string, string> = Object.assign({}, ...failures);
  return Object.fromEntries(cases.flatMap(({ name }) => (name in all ? [[name, all[name]!]] : [])));
}
