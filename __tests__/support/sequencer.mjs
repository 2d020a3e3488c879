import { sep } from "node:path";
import sequencer from "@jest/test-sequencer";

/**
 * The files that take longest, longest first: they compile programs, start processes or browsers, or wait. Jest learns this by
 * itself, but forgets it with its cache: on a fresh clone it begins with the largest files, and one of these would run last, when
 * nothing else is left. A file that is not here, or a name that is out of date, costs time only.
 */
const LONGEST = [
  "demo/demo.test.ts",
  "types/programs.soak.test.ts",
  "tools/contract/runs.test.ts",
  "tools/contract/mutations.soak.test.ts",
  "tools/contract/messages.test.ts",
  "serve/uncaught.soak.test.ts",
  "serve/workers.test.ts",
  "together/chaos.soak.test.ts",
  "serve/signals.soak.test.ts",
  "tools/contract/mutations-errors.soak.test.ts",
  "tools/contract/mutations-cors.soak.test.ts",
  "serve/workers.soak.test.ts",
  "serve/http2/sequences.soak.test.ts",
  "types/consumers.soak.test.ts",
  "cache/stores/memory.soak.test.ts",
  "cache/fetch.test.ts",
  "cache/conformance.test.ts",
  "cors/browser-origins.test.ts",
  "compress/streams.test.ts",
  "compress/properties.soak.test.ts",
  "demo/violations.test.ts",
  "demo/edge.test.ts",
  "csp-reports/browser.test.ts",
  "csrf/browser.test.ts",
  "tools/check/command.test.ts",
  "package.test.ts",
  "package-loads.test.ts",
].map((name) => ["", "__tests__", ...name.split("/")].join(sep));

export default class extends (sequencer.default ?? sequencer) {
  sort(tests) {
    const rankOf = ({ path }) => {
      const at = LONGEST.findIndex((name) => path.endsWith(name));
      return at === -1 ? LONGEST.length : at;
    };
    return super.sort(tests).sort((one, other) => rankOf(one) - rankOf(other));
  }
}
