// Dependencies that most apps do without, loaded at their first use. A CommonJS file, as only `require` loads late and at
// once, and bundlers follow it.
"use strict";

exports.morgan = () => require("morgan");
exports.lruCache = () => require("lru-cache");
