import { accessFaults } from "./access.js";
import { corsFaults } from "./cors.js";
import { edgeFaults } from "./edge.js";
import { errorFaults } from "./errors.js";
import { headerFaults } from "./headers.js";
import { logAndUserFaults } from "./log-and-users.js";
import { operateFaults } from "./operate.js";
import type { Plant } from "./planting.js";

/** Faults, and how each is planted among the demo's parts. */
export const faults: Record<string, Plant> = {
  ...corsFaults,
  ...headerFaults,
  ...errorFaults,
  ...accessFaults,
  ...logAndUserFaults,
  ...edgeFaults,
  ...operateFaults,
};
