export type { Auth } from "../http/facts.js";
export { type AuthenticateOptions, authenticate } from "./authenticate.js";
export { type AuthorizeOptions, authorize, requireScopes } from "./authorize.js";
export type { ApiKeyOptions, BasicOptions, BearerOptions } from "./options.js";
export type { Scheme } from "./scheme.js";
export { apiKey, basic, bearer } from "./schemes.js";
export type { Verdict } from "./verdict.js";
