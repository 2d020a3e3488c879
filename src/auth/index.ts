export type { Scheme } from "../lib/http/auth-scheme.js";
export type { Auth, AuthReason } from "../lib/request/state.js";
export { authenticate } from "./authenticate.js";
export type { AuthenticateOptions } from "./authenticate-options.js";
export { type AuthorizeOptions, authorize, requireScopes } from "./authorize.js";
export type { Verdict } from "./credentials.js";
export type { ApiKeyOptions, BasicOptions, BearerOptions } from "./options.js";
export { apiKey, basic, bearer } from "./schemes.js";
