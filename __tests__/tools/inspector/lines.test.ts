import { lonely, niceAbove } from "../../../tools/inspector/page/lines.js";

describe("a chart", () => {
  it("has dots for values between two gaps, which would not be seen as a line", () => {
    expect(lonely([null, 5, null, 0, 4, undefined, 7])).toEqual([1, 6]);
    expect(lonely([3])).toEqual([0]);
    expect(lonely([null])).toEqual([]);
  });

  it.each([
    [1, 1],
    [1.2, 2],
    [259, 300],
    [300, 300],
    [999, 1_000],
    [6_200, 10_000],
  ])("has %d below its top, %d", (value, top) => {
    expect(niceAbove(value)).toBe(top);
  });
});
