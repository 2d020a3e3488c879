// The build puts these into one file, so that who uses only the middleware installs none of them. @babel/parser reads every
// syntax of JavaScript and TypeScript and gives the place of each comment; magic-string keeps every byte that is not edited.
"use strict";

exports.parse = require("@babel/parser").parse;
exports.parseExpression = require("@babel/parser").parseExpression;
exports.MagicString = require("magic-string");
exports.structuredPatch = require("diff/lib/patch/create.js").structuredPatch;
