// CommonJS, as only `require` loads a module synchronously on first use in a way that bundlers follow.
"use strict";

exports.load = () => require("lru-cache");
