#!/usr/bin/env node
import { main as check } from "./check/command/main.js";

const [command, ...rest] = process.argv.slice(2);
// What init needs is loaded only for it.
if (command === "init") import("./init/main.js").then(({ main }) => main(rest));
else check(process.argv.slice(2));
