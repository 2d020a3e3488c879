import { inProduction } from "./demo-parts.js";
import { findEach } from "./faults/finding.js";
import { operateFaults } from "./faults/operate.js";

inProduction();

findEach(operateFaults);
