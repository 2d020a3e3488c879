export { ConfigError, type Problem as ConfigProblem } from "./config/config-error.js";
export type { Logger } from "./config/logger.js";
export * from "./context/index.js";
