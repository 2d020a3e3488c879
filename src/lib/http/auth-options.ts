import type { Checker } from "../config/checker.js";
import { hrefOf, isLoopback, urlOf } from "../config/href.js";
import { isToken } from "./tokens.js";

/** The name of the scheme in the Authorization field and in the challenge, where it is not `Bearer`. */
export function checkPrefix(checker: Checker): string | undefined {
  const prefix = checker.string("prefix");
  if (prefix === undefined || prefix.toLowerCase() === "bearer") return undefined;
  const isBasic = prefix.toLowerCase() === "basic";
  if (isToken(prefix) && !isBasic) return prefix;
  const reason = isBasic
    ? "is the name of another scheme: use basic()"
    : 'must be the name of a scheme, one word without a space, such as "Token"';
  checker.add("prefix", reason);
  return undefined;
}

/** RFC 9728, section 1.2: an https: URL without a fragment; http: for tests on the own machine. */
export function checkResourceMetadata(checker: Checker): string | undefined {
  const { resourceMetadata } = checker.options;
  if (resourceMetadata === undefined) return undefined;
  const text = hrefOf(resourceMetadata);
  const url = text === undefined ? undefined : urlOf(text);
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url));
  if (url !== undefined && isSafe && url.hash === "" && url.username === "" && url.password === "")
    return url.href;
  checker.addSecret(
    "resourceMetadata",
    "must be an https: URL (http: on loopback) without fragment and password: https://api.example/.well-known/oauth-protected-resource",
  );
  return undefined;
}
