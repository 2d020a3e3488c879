import { Average, Gradient, SampleWindow } from "../../src/load-shed/gradient.js";

/**
 * What Netflix's own Gradient2Limit (concurrency-limits, compiled and run) makes of the samples below, with initial
 * 20, minimum 10 and maximum 1,000: its limit after each 50 of them.
 */
const NETFLIX = [
  42, 59, 78, 99, 116, 138, 152, 172, 196, 214, 234, 254, 29, 15, 13, 21, 29, 39, 50, 59, 65, 84, 108, 128,
  148, 174, 193, 216, 236, 256, 16, 10, 12, 17, 20, 28, 35, 43, 48, 58,
];

it("the limit is that of Netflix's Gradient2Limit for the same samples", () => {
  const gradient = new Gradient(20, 10, 1_000);
  let x = 7;
  const random = () => {
    x = (x * 48_271) % 2_147_483_647;
    return x / 2_147_483_647;
  };
  const limits: number[] = [];
  for (let i = 0; i < 2_000; i++) {
    const [r, q] = [random(), random()];
    const baseMs = i < 600 ? 10 : i < 1_100 ? 40 : i < 1_500 ? 12 : 200;
    const nanos = Math.trunc(baseMs * 1e6 * (0.5 + r));
    gradient.update(nanos, Math.trunc(q * Math.floor(gradient.limit) * 1.2));
    if (i % 50 === 49) limits.push(Math.floor(gradient.limit));
  }
  expect(limits).toEqual(NETFLIX);
});

it("an average is the mean while it warms up, and exponential then (ExpAvgMeasurementTest)", () => {
  const average = new Average(100, 10);
  const expected = [10, 10.5, 11, 11.5, 12, 12.5, 13, 13.5, 14, 14.5];
  for (const [i, value] of expected.entries()) expect(average.add(i + 10)).toBeCloseTo(value, 2);
  expect(average.add(100)).toBeCloseTo(16.2, 1);
});

describe("the limit", () => {
  it("grows by 0.8 for a steady latency, up to its maximum", () => {
    const gradient = new Gradient(20, 10, 22);
    const limits = Array.from({ length: 4 }, () => {
      gradient.update(10, 20);
      return gradient.limit;
    });
    expect(limits.map((limit) => Number(limit.toFixed(1)))).toEqual([20.8, 21.6, 22, 22]);
  });

  it("stays where it is while less than half of it is used, however slow the answers are", () => {
    const gradient = new Gradient(20, 10, 1_000);
    for (let i = 0; i < 100; i++) gradient.update(i < 50 ? 10 : 500, 9);
    expect(gradient.limit).toBe(20);
  });

  it("shrinks by at most a tenth for one update, and to no less than its minimum", () => {
    const gradient = new Gradient(100, 10, 1_000);
    for (let i = 0; i < 20; i++) gradient.update(10, 0);
    gradient.update(10_000, 100);
    expect(gradient.limit).toBeCloseTo(100 * 0.9 + 0.8, 10);
    for (let i = 0; i < 200; i++) gradient.update(10_000 * 1.2 ** i, 100);
    expect(gradient.limit).toBe(10);
  });

  it("bears a latency of 1.5 times the average, and shrinks above", () => {
    const changed = (latencyMs: number) => {
      const gradient = new Gradient(100, 10, 1_000);
      for (let i = 0; i < 1_000; i++) gradient.update(10, 0);
      gradient.update(latencyMs, 100);
      return gradient.limit - 100;
    };
    expect(changed(15)).toBeCloseTo(0.8, 5);
    expect(changed(18)).toBeLessThan(0);
  });

  it("is not raised while growth is not allowed, and may shrink", () => {
    const gradient = new Gradient(100, 10, 1_000);
    gradient.update(10, 100, 4, false);
    expect(gradient.limit).toBe(100);
    for (let i = 0; i < 20; i++) gradient.update(10, 0);
    gradient.update(1_000, 100, 4, false);
    expect(gradient.limit).toBeLessThan(100);
  });

  it("is lowered to its half at most", () => {
    const gradient = new Gradient(100, 10, 1_000);
    gradient.lower(7);
    expect(gradient.limit).toBe(93);
    gradient.lower(90);
    expect(gradient.limit).toBe(46.5);
    for (let i = 0; i < 9; i++) gradient.lower(90);
    expect(gradient.limit).toBe(10);
  });
});

describe("a window of samples", () => {
  it("is the mean of as many samples as the limit, and has the most requests in flight among them", () => {
    const gradient = new Gradient(20, 10, 1_000);
    const update = jest.spyOn(gradient, "update");
    const window = new SampleWindow(gradient);
    for (let i = 0; i < 19; i++) window.add(i === 0 ? 5_000 : 500, i, true);
    expect(update).not.toHaveBeenCalled();
    window.add(500, 3, true);
    expect(update.mock.calls).toEqual([[(5_000 + 19 * 500) / 20, 18, 8, true]]);
  });

  it("has ten samples where the limit is lower", () => {
    const gradient = new Gradient(2, 1, 1_000);
    const update = jest.spyOn(gradient, "update");
    const window = new SampleWindow(gradient);
    for (let i = 0; i < 30; i++) window.add(10, 2, true);
    expect(update).toHaveBeenCalledTimes(3);
  });
});
