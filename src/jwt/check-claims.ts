import { type Checker, isBag, refuseSecret } from "../lib/config/checker.js";
import type { ClaimValue, Rules } from "./claims.js";

/** Claims that have options of their own, or are always checked. */
const OWN_RULES = ["iss", "aud", "exp", "nbf", "iat"];

/** Reads the option `claims`; `audience: false` without it would accept the tokens of every app of the issuer. */
export function checkClaims(checker: Checker): Rules["claims"] {
  const { claims, audience } = checker.options;
  if (audience === false && claims === undefined && !("claims" in checker.options)) {
    const reason =
      'needs claims that identify the app, such as claims: { client_id: "…" }: else tokens for any app of the issuer would be accepted';
    checker.add("audience", reason, false, "ERR_PORTICO_UNSAFE_OPTION");
    return [];
  }
  if (!("claims" in checker.options)) return [];
  if (!isBag(claims) || Object.keys(claims).length === 0) {
    refuseSecret(checker, "claims", claims, "must be an object of claims and their values, at least one");
    return [];
  }
  return Object.entries(claims).map(([name, value]) => {
    const option = `claims.${name}`;
    const values: unknown[] = Array.isArray(value) ? [...value] : [value];
    const wrong = values.find((one) => !["string", "number", "boolean"].includes(typeof one));
    if (OWN_RULES.includes(name))
      checker.addSecret(option, "is checked by an option of its own: issuer, audience or clockTolerance");
    else if (values.length === 0 || wrong !== undefined || values.includes(undefined))
      refuseSecret(
        checker,
        option,
        values.length === 0 ? [] : wrong,
        "must be a string, a number, true or false, or a list of them",
      );
    return [name, values as ClaimValue[]];
  });
}
