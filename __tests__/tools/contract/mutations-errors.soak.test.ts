import { inProduction } from "./demo-parts.js";
import { errorFaults } from "./faults/errors.js";
import { findEach } from "./faults/finding.js";

inProduction();

findEach(errorFaults);
