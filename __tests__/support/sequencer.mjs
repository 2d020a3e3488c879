import { sep } from "node:path";
import sequencer from "@jest/test-sequencer";

/**
 * The files that take longest, longest first: they compile programs, start processes or browsers, or wait. Jest learns this by
 * itself, but forgets it with its cache: on a fresh clone it begins with the largest files, and one of these would run last, when
 * nothing else is left. A file that is not here, or a name that is out of date, costs time only.
 */
const LONGEST = [
  "tools/contract/runs.test.ts",
  "serve/http2/limits.test.ts",
  "serve/http2/sequences.soak.test.ts",
  "tools/contract/mutations.soak.test.ts",
  "demo/demo.test.ts",
  "types/programs.soak.test.ts",
  "integrations/next.soak.test.ts",
  "docs/site.soak.test.ts",
  "serve/closing.test.ts",
  "tools/contract/mutations-errors.soak.test.ts",
  "tools/contract/mutations-cors.soak.test.ts",
  "tools/contract/mutations-operate.soak.test.ts",
  "tools/contract/messages.test.ts",
  "tools/contract/asynchronous.test.ts",
  "tools/contract/ours.soak.test.ts",
  "tools/contract/hand-wired.soak.test.ts",
  "tools/contract/one-logger.test.ts",
  "integrations/nestjs.soak.test.ts",
  "serve/shutdown-http2.test.ts",
  "serve/uncaught.soak.test.ts",
  "serve/signals.soak.test.ts",
  "serve/workers.test.ts",
  "together/chaos.soak.test.ts",
  "timeout/outer.test.ts",
  "body-limit/behaviour.test.ts",
  "body-limit/readers.test.ts",
  "demo/program.soak.test.ts",
  "demo/under-load.soak.test.ts",
  "demo/contract.test.ts",
  "demo/edge.test.ts",
  "types/consumers.soak.test.ts",
  "cache/conformance.soak.test.ts",
  "cache/stores/memory.soak.test.ts",
  "cache/stores/redis-outage.test.ts",
  "tools/check/load-app.test.ts",
  "tools/check/command.test.ts",
  "package-loads.test.ts",
  "package.test.ts",
  "csp-reports/wire.test.ts",
  "csp-reports/browser.soak.test.ts",
  "csrf/browser.soak.test.ts",
  "cors/browser-origins.soak.test.ts",
  "tools/inspector/browser.soak.test.ts",
  "tools/inspector/browser-detail.soak.test.ts",
  "tools/init/command.test.ts",
  "metrics/production.test.ts",
  "compress/properties.test.ts",
  "compress/streams.test.ts",
  "together/portico.test.ts",
].map((name) => ["", "__tests__", ...name.split("/")].join(sep));

export default class extends (sequencer.default ?? sequencer) {
  /** Most of the longest files wait most of the time: between two of them is another one, which uses the processor meanwhile. */
  sort(tests) {
    const rankOf = ({ path }) => LONGEST.findIndex((name) => path.endsWith(name));
    const sorted = super.sort(tests);
    const longest = sorted
      .filter((test) => rankOf(test) !== -1)
      .sort((one, other) => rankOf(one) - rankOf(other));
    const others = sorted.filter((test) => rankOf(test) === -1);
    const mixed = longest.flatMap((test, i) => [test, ...others.slice(i, i + 1)]);
    return [...mixed, ...others.slice(longest.length)];
  }
}
