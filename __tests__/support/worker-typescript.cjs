// What test files get for `typescript`, see environment.ts.
module.exports = globalThis.typescriptOfWorker();
