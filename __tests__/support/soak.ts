/** Whether this is `npm run test:soak`, which runs all cases of the files named `*.soak.test.ts`. */
export const SOAK = process.env.SOAK === "1";

/** How many cases to run of so many: all of them in `npm run test:soak`, a tenth in `npm test`. */
export function casesOf(all: number): number {
  return SOAK ? all : Math.ceil(all / 10);
}
