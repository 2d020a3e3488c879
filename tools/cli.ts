#!/usr/bin/env node
import { main } from "./check/command/main.js";

main(process.argv.slice(2));
