import { inProduction } from "./demo-parts.js";
import { corsFaults } from "./faults/cors.js";
import { findEach } from "./faults/finding.js";
import { headerFaults } from "./faults/headers.js";

inProduction();

findEach({ ...corsFaults, ...headerFaults });
