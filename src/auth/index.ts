export type { Scheme } from "../http/auth-scheme.js";
export type { Auth, AuthReason } from "../http/facts.js";
export { type AuthenticateOptions, authenticate } from "./authenticate.js";
export { type AuthorizeOptions, authorize } from "./authorize.js";
export type { ApiKeyOptions, BasicOptions, BearerOptions } from "./options.js";
export { requireScopes } from "./require-scopes.js";
export { apiKey, basic, bearer } from "./schemes.js";
export type { Verdict } from "./verdict.js";
