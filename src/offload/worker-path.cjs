// A CommonJS file, as ES modules run from the source by various tools do not know their own path.
"use strict";

exports.workerPath = require("node:path").join(__dirname, "worker.cjs");
