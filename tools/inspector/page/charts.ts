import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Sample } from "../report.js";
import { byId, h } from "./dom.js";
import { lonely, niceAbove } from "./lines.js";

interface Line {
  readonly label: string;
  /** A colour of the style sheet. */
  readonly colour: string;
  readonly read: (sample: Sample) => number | undefined;
  /** A value from here on is shown as too high. */
  readonly high?: number;
}

interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

/**
 * A request that comes then waits so long before its first layer runs. An idle app has at most 16 ms, on a busy machine too;
 * browsers call a task "long" from here on.
 */
const SLOW_DELAY_MS = 50;

const CHARTS: readonly Chart[] = [
  { title: "Requests", unit: "/s", lines: [{ label: "", colour: "--c1", read: ({ rate }) => rate }] },
  {
    title: "Time in ms",
    unit: "",
    lines: [
      { label: "p50", colour: "--c1", read: ({ p50 }) => p50 },
      { label: "p95", colour: "--c2", read: ({ p95 }) => p95 },
      { label: "p99", colour: "--c3", read: ({ p99 }) => p99 },
    ],
  },
  { title: "In flight", unit: "", lines: [{ label: "", colour: "--c4", read: ({ inFlight }) => inFlight }] },
  {
    title: "Event loop delay",
    unit: " ms",
    lines: [{ label: "", colour: "--c1", read: ({ delayMs }) => delayMs, high: SLOW_DELAY_MS }],
  },
];

const HEIGHT = 36;
/** In the browser's storage. */
const HIDDEN = "charts-hidden";
const MAX_SAMPLES = 300;
const SHOWN_SECONDS = 120;

let samples: Sample[] = [];
/** A box becomes narrower when the figures beside it become longer. */
const resized = new ResizeObserver((entries) => {
  for (const { plot, box } of drawn)
    if (entries.some(({ target }) => target === box)) plot.setSize(sizeOf(box));
});
let drawn: {
  readonly plot: uPlot;
  readonly chart: Chart;
  readonly values: HTMLElement;
  readonly box: HTMLElement;
}[] = [];

export function setSamples(all: readonly Sample[]): void {
  samples = [...all];
  draw();
}

export function addSample(sample: Sample): void {
  samples.push(sample);
  samples = samples.slice(-MAX_SAMPLES);
  if (document.hidden) return;
  for (const { plot, chart, values } of drawn) {
    plot.setData(dataOf(chart));
    show(chart, values, undefined);
  }
}

/** Draws all anew: the colours change with dark mode. */
function draw(): void {
  const section = byId("charts");
  for (const { plot } of drawn) plot.destroy();
  resized.disconnect();
  drawn = CHARTS.map((chart) => {
    const values = h("span", { class: "values" });
    const box = h("div", { class: "plot", "aria-hidden": "true" });
    section.append(h("figure", {}, h("figcaption", {}, h("span", {}, chart.title), values), box));
    return { chart, values, box, plot: undefined as never };
  });
  section.replaceChildren(...[...section.children].slice(-CHARTS.length));
  drawn = drawn.map((one) => ({ ...one, plot: plotOf(one.chart, one.values, one.box) }));
  for (const { chart, values, box } of drawn) {
    show(chart, values, undefined);
    resized.observe(box);
  }
}

function sizeOf(box: HTMLElement): { width: number; height: number } {
  return { width: Math.max(box.clientWidth, 60), height: HEIGHT };
}

function plotOf(chart: Chart, values: HTMLElement, box: HTMLElement): uPlot {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const options: uPlot.Options = {
    ...sizeOf(box),
    padding: [5, 2, 5, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { setScale: false, x: false, y: false } },
    scales: {
      x: { time: true, range: (_plot, _least, most) => [most - SHOWN_SECONDS, most + 2] }, // room for a dot
      y: { range: (_plot, _least, most) => [0, niceAbove(Math.max(most, 1))] },
    },
    axes: [
      { show: false },
      {
        size: 34,
        stroke: colour("--muted"),
        font: "10px system-ui, sans-serif",
        grid: { stroke: colour("--line"), width: 1 },
        ticks: { show: false },
        splits: (_plot, _axis, least, most) => [least, most],
        values: (_plot, splits) => splits.map((value) => shortNumber(value)),
      },
    ],
    series: [
      {},
      ...chart.lines.map((line, i) => ({
        stroke: colour(line.colour),
        width: 1.5,
        spanGaps: false,
        ...(chart.lines.length === 1 && i === 0 ? { fill: `${colour(line.colour)}22` } : {}),
        points: {
          show: false,
          size: 4,
          fill: colour(line.colour),
          filter: (plot: uPlot, line: number) => lonely(plot.data[line]!),
        },
      })),
    ],
    hooks: { setCursor: [({ cursor }) => show(chart, values, cursor.idx ?? undefined)] },
  };
  return new uPlot(options, dataOf(chart), box);
}

function shortNumber(value: number): string {
  return value >= 1_000 ? `${value / 1_000}k` : String(value);
}

function shortValue(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Math.round(value * 10) / 10);
}

function dataOf({ lines }: Chart): uPlot.AlignedData {
  return [
    samples.map(({ time }) => time / 1_000),
    ...lines.map(({ read }) => samples.map((sample) => read(sample) ?? null)),
  ];
}

/** @param index the sample under the pointer; the last one if undefined */
function show({ lines, unit }: Chart, values: HTMLElement, index: number | undefined): void {
  const sample = index === undefined ? samples.at(-1) : samples[index];
  const texts = lines.map(({ label, read, colour, high }) => {
    const value = sample === undefined ? undefined : read(sample);
    const text = value === undefined ? "–" : `${shortValue(value)}${lines.length === 1 ? unit : ""}`;
    const isHigh = high !== undefined && value !== undefined && value >= high;
    const className = `value ${isHigh ? "is-high" : colour.slice(2)}`;
    const title = high === undefined ? undefined : `red from ${high}${unit} on`;
    return h("span", { class: className, title }, label === "" ? "" : h("small", {}, `${label} `), text);
  });
  values.replaceChildren(...texts);
}

/** The figures stay. */
export function toggleCharts(): void {
  const isHidden = byId("charts").classList.toggle("is-hidden-plots");
  const button = byId("charts-button");
  button.textContent = isHidden ? "Show charts" : "Hide charts";
  button.setAttribute("aria-expanded", String(!isHidden));
  try {
    localStorage.setItem(HIDDEN, String(isHidden));
  } catch {
    // The browser allows no storage: it is forgotten.
  }
}

function isHiddenBefore(): boolean {
  try {
    return localStorage.getItem(HIDDEN) === "true";
  } catch {
    return false;
  }
}

export function watchCharts(): void {
  if (isHiddenBefore()) toggleCharts();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}
