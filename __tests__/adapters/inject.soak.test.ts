import { oneIn } from "../support/soak.js";
import { injectors, overTcp } from "./support.js";
import { CALLS, type Seen, STACKS, see } from "./table.js";

const stacks = oneIn(3, Object.keys(STACKS));

// light-my-request changes the prototypes of all Express requests of the process, so the responses of a server are collected
// first.
