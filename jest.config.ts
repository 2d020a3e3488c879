/** @jest-config-loader esbuild-register */
import type { Config } from "jest";

const config: Config = {
  testEnvironment: "node",
  maxWorkers: "100%", // much of a test is waiting: for a socket, for a process
  testMatch: ["<rootDir>/__tests__/**/*.test.ts"],
  transform: { "^.+\\.ts$": ["ts-jest", { tsconfig: "tsconfig.jest.json" }] },
  moduleNameMapper: {
    "^(\\.{1,2}/.*)\\.js$": "$1",
    "^express-portico$": "<rootDir>/src/index.ts",
    "^express-portico/(.+)$": "<rootDir>/src/$1/index.ts",
  },
};

export default config;
