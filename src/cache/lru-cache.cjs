// A CommonJS file, as only `require` loads late and at once, and bundlers follow it.
"use strict";

exports.load = () => require("lru-cache");
