import express5 from "express";

/** Typed as Express 5: what the tests use is the same in Express 4. */
const express4 = require("express4") as typeof express5;

/** A fresh install of Express 5 gets router 2.3; an older lockfile may hold 2.2. */
let withRouter22!: typeof express5;
jest.isolateModules(() => {
  jest.doMock("router", () => jest.requireActual("router-2.2"));
  withRouter22 = require("express") as typeof express5;
  jest.dontMock("router");
});

/** For `describe.each`: all supported versions. */
export const expressVersions: [string, typeof express5][] = [
  ["Express 5", express5],
  ["Express 5 with router 2.2", withRouter22],
  ["Express 4", express4],
];
