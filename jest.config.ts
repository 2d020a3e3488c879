/** @jest-config-loader esbuild-register */
import { availableParallelism } from "node:os";
import type { Config } from "jest";

const config: Config = {
  testEnvironment: "<rootDir>/__tests__/support/environment.ts",
  testTimeout: 240_000, // patience for a busy machine: what must be quick is asserted by the test itself
  maxWorkers: Math.ceil(availableParallelism() * 2.5), // much of a test is waiting: for a socket, for a process
  testSequencer: "<rootDir>/__tests__/support/sequencer.mjs",
  testMatch: ["<rootDir>/__tests__/**/*.test.ts"],
  // Browsers, other frameworks, TypeScript programs, leaks and chaos take seconds each: `npm run test:soak` runs them.
  testPathIgnorePatterns: process.env.SOAK === "1" ? [] : ["\\.soak\\.test\\.ts$"],
  // These have ES modules only, and the tests run as CommonJS.
  transform: {
    // Without <rootDir>, which Jest does not replace in these keys.
    "^(?!.*/__tests__/).*/(?:src|tools|demo)/.+\\.ts$|/node_modules/(?:jose|light-my-request/node_modules/cookie)/.+\\.js$":
      "<rootDir>/__tests__/support/transform.cjs",
    "\\.ts$": ["ts-jest", { tsconfig: "tsconfig.jest.json" }],
  },
  transformIgnorePatterns: ["/node_modules/(?!jose/|light-my-request/|cookie/)"],
  moduleNameMapper: {
    "^(\\.{1,2}/.*)\\.js$": "$1",
    "^typescript$": "<rootDir>/__tests__/support/worker-typescript.cjs",
    "^express-portico$": "<rootDir>/src/index.ts",
    "^express-portico/inspector$": "<rootDir>/tools/inspector/index.ts",
    "^express-portico/pipeline$": "<rootDir>/tools/check/index.ts",
    "^express-portico/testing$": "<rootDir>/tools/contract/index.ts",
    "^express-portico/(.+)$": "<rootDir>/src/$1/index.ts",
  },
  // `npm run coverage`. V8 counts the code as it is; Istanbul's counters would change what the tests measure. Left out are the
  // command's entry point, which runs in processes only, and files with types alone, which are never loaded.
  coverageProvider: "v8",
  collectCoverageFrom: [
    "{src,tools}/**/*.ts",
    "!**/*.d.{ts,cts}",
    "!tools/cli.ts",
    "!tools/inspector/page/**", // runs in a browser
    "!src/chain/types.ts",
    "!tools/contract/expectations.ts",
  ],
  coverageReporters: ["text-summary", "lcov", "json-summary"],
  coverageThreshold: { global: { lines: 95 } },
};

export default config;
