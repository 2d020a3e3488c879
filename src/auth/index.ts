export type { Scheme } from "../lib/http/auth-scheme.js";
export type { Auth, AuthReason } from "../lib/request/state.js";
export { type AuthenticateOptions, authenticate } from "./authenticate.js";
export { type AuthorizeOptions, authorize } from "./authorize.js";
export type { ApiKeyOptions, BasicOptions, BearerOptions } from "./options.js";
export { requireScopes } from "./require-scopes.js";
export { apiKey, basic, bearer } from "./schemes.js";
export type { Verdict } from "./verdict.js";
