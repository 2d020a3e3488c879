import express5 from "express";
import { SOAK } from "./soak.js";

/** Typed as Express 5: what the tests use is the same in Express 4. */
export const express4 = require("express4") as typeof express5;

/** A fresh install of Express 5 gets router 2.3; an older lockfile may hold 2.2. */
export function expressWithRouter22(): typeof express5 {
  let express!: typeof express5;
  jest.isolateModules(() => {
    jest.doMock("router", () => jest.requireActual("router-2.2"));
    express = require("express") as typeof express5;
    jest.dontMock("router");
  });
  return express;
}

/** For `describe.each`: the supported versions. `npm test` runs the first, `npm run test:soak` each of them. */
export const expressVersions: [string, typeof express5][] = [
  ["Express 5", express5],
  ...(SOAK
    ? ([
        ["Express 4", express4],
        ["Express 5 with router 2.2", expressWithRouter22()],
      ] as [string, typeof express5][])
    : []),
];
