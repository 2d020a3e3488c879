import express5 from "express";

/** Express 4 has the same shape for all that these tests do. */
const express4 = require("express4") as typeof express5;

/** For `describe.each`: what must hold on both. */
export const expressVersions: [string, typeof express5][] = [
  ["Express 5", express5],
  ["Express 4", express4],
];
