#!/usr/bin/env node
import { main } from "./pipeline/command/main.js";

main(process.argv.slice(2));
