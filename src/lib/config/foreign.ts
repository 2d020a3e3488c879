/**
 * Option names of other packages, by package, for one factory of ours. The value is the name of our option, or a sentence
 * that says what to write instead (it has a space in it, a name has none).
 *
 * @example
 * const FOREIGN: ForeignOptions = {
 *   hono: { allowMethods: "methods" },
 *   cors: { preflightContinue: 'shortCircuit: "preflight" hands on every OPTIONS that is no preflight' },
 * };
 */
export type ForeignOptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What to say of a name that is another package's option; undefined if it is not. */
export function foreignReason(name: string, foreign: ForeignOptions): string | undefined {
  const owners = Object.keys(foreign).filter((owner) => Object.hasOwn(foreign[owner]!, name));
  const [first] = owners;
  if (first === undefined) return undefined;
  const instead = foreign[first]![name]!;
  const same = owners.filter((owner) => foreign[owner]![name] === instead);
  const whose = `\`${name}\` is ${listed(same)} name`;
  return instead.includes(" ") ? `${whose}; here ${instead}` : `${whose}; here it is \`${instead}\``;
}

/** `hono's`, `hono's and cors's`. */
function listed(owners: readonly string[]): string {
  return owners.map((owner) => `${owner}'s`).join(" and ");
}
