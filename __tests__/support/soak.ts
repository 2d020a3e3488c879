/** Whether this is `npm run test:soak`: all cases of the files that ask, and the files named `*.soak.test.ts`. */
export const SOAK = process.env.SOAK === "1";

/** How many cases to run of so many: all of them in `npm run test:soak`, a tenth in `npm test`. */
export function casesOf(all: number): number {
  return SOAK ? all : Math.ceil(all / 10);
}

/** Tests that only `npm run test:soak` runs: variants of what another test shows, which start or compile programs. */
export function inSoak(tests: () => void): void {
  if (SOAK) tests();
}

/** All of the list in `npm run test:soak`; in `npm test` one in so many. */
export function oneIn<T>(count: number, list: readonly T[]): readonly T[] {
  return SOAK ? list : list.filter((_, i) => i % count === 0);
}
