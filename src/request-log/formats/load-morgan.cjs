// CommonJS, because only `require` loads a module late and synchronously in a way that bundlers can follow.
"use strict";

exports.load = () => require("morgan");
