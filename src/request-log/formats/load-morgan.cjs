// CommonJS, because only `require` loads late and synchronously and is followed by bundlers.
"use strict";

exports.load = () => require("morgan");
