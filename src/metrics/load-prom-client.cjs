// CommonJS, as only `require` loads a module synchronously on first use in a way that bundlers follow. They include an optional
// package only where it is installed if its `require` is in a `try`.
"use strict";

exports.load = () => {
  try {
    return require("prom-client");
  } catch (error) {
    return { error };
  }
};
