// Charts as SVG, without a library: rectangles, lines and text. A file has colours for light and for dark pages, which hold in an
// `<img>` too; the site shows the charts inline, and its style sheet sets the same variables. They are narrow, so that a phone
// shows their text large enough.
const WIDTH = 480;
const MARGIN = 16;
/** Of one character, at most: of the text, and of the bold title. */
const [CHARACTER, TITLE_CHARACTER] = [7.5, 9];
const OURS = "var(--chart-ours)";
const OTHERS = ["var(--chart-1)", "var(--chart-2)", "var(--chart-3)"];

const STYLE = `<style>
.chart { --chart-back: #fff; --chart-text: #213547; --chart-line: #d9dde2; --chart-ours: #0b6e4f; --chart-1: #66727e; --chart-2: #a85a1c; --chart-3: #5b5ea6; }
@media (prefers-color-scheme: dark) {
  .chart { --chart-back: #16181d; --chart-text: #e6e6ea; --chart-line: #3a3f47; --chart-ours: #4cc79a; --chart-1: #9aa7b4; --chart-2: #e0975a; --chart-3: #a3a7ee; }
}
</style>`;

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly isOurs: boolean;
}

export function barChart(title: string, bars: readonly Bar[]): string {
  const heading = titleOf(title);
  const [row, right] = [40, 44];
  const most = Math.max(...bars.map(({ value }) => value));
  const scale = (WIDTH - MARGIN - right) / most;
  const rows = bars.map(({ label, value, isOurs }, i) => {
    const y = heading.bottom + 12 + i * row;
    const fill = isOurs ? OURS : OTHERS[0];
    const weight = isOurs ? " font-weight='bold'" : "";
    return [
      `<text x='${MARGIN}' y='${y + 12}'${weight}>${escapeText(label)}</text>`,
      `<rect x='${MARGIN}' y='${y + 17}' width='${(value * scale).toFixed(1)}' height='14' fill='${fill}'/>`,
      `<text x='${(MARGIN + value * scale + 8).toFixed(1)}' y='${y + 29}'${weight}>${value.toFixed(0)}</text>`,
    ].join("");
  });
  return picture(heading.bottom + 16 + bars.length * row, title, [...heading.lines, ...rows]);
}

export interface Series {
  readonly label: string;
  readonly values: readonly (number | undefined)[];
  readonly isOurs: boolean;
}

export function lineChart(title: string, labels: readonly string[], series: readonly Series[]): string {
  const heading = titleOf(title);
  const [left, right, plot, step] = [40, 150, 250, 20];
  const top = heading.bottom + 20;
  const bottom = top + plot;
  const most =
    Math.ceil(Math.max(...series.flatMap(({ values }) => values.map((value) => value ?? 0))) / step) * step;
  const [first, last] = [left + 16, WIDTH - right];
  const between = (last - first) / (labels.length - 1);
  const x = (i: number) => first + i * between;
  const y = (value: number) => bottom - (value * plot) / most;
  const parts: string[] = [];
  for (let value = 0; value <= most; value += step) {
    const at = y(value).toFixed(1);
    parts.push(`<line x1='${left}' x2='${last}' y1='${at}' y2='${at}' stroke='var(--chart-line)'/>`);
    parts.push(`<text x='${left - 8}' y='${(y(value) + 4).toFixed(1)}' text-anchor='end'>${value}</text>`);
  }
  const names = labels.map((label) => wrap(label, between / CHARACTER));
  for (const [i, lines] of names.entries()) {
    for (const [line, text] of lines.entries())
      parts.push(
        `<text x='${x(i).toFixed(1)}' y='${bottom + 24 + line * 16}' text-anchor='middle'>${escapeText(text)}</text>`,
      );
  }
  parts.push(...linesOf(series, x, y, bottom));
  const height = bottom + 20 + Math.max(...names.map((lines) => lines.length)) * 16;
  return picture(height, title, [...heading.lines, ...parts]);
}

/** The lines of a chart, each with its name at its end. */
function linesOf(
  series: readonly Series[],
  x: (i: number) => number,
  y: (value: number) => number,
  bottom: number,
): string[] {
  const parts: string[] = [];
  const names: { x: number; y: number; colour: string; label: string }[] = [];
  for (const [i, { label, values, isOurs }] of series.entries()) {
    const colour = isOurs ? OURS : OTHERS[i - 1]!;
    const points = values.flatMap((value, at) => (value === undefined ? [] : [[x(at), y(value)] as const]));
    const line = points.map((point) => point.map((part) => part.toFixed(1)).join(",")).join(" ");
    parts.push(`<polyline points='${line}' fill='none' stroke='${colour}' stroke-width='2.5'/>`);
    for (const [cx, cy] of points)
      parts.push(`<circle cx='${cx.toFixed(1)}' cy='${cy.toFixed(1)}' r='4' fill='${colour}'/>`);
    const [endX, endY] = points.at(-1)!;
    names.push({ x: endX + 10, y: endY + 4, colour, label });
  }
  names.sort((one, other) => one.y - other.y);
  let lowest = bottom + 4;
  for (const { x: at, y: wanted, colour, label } of names.reverse()) {
    const line = Math.min(wanted, lowest); // names do not overlap
    lowest = line - 16;
    parts.push(
      `<text x='${at.toFixed(1)}' y='${line.toFixed(1)}' fill='${colour}' font-weight='bold'>${escapeText(label)}</text>`,
    );
  }
  return parts;
}

function titleOf(title: string): { lines: string[]; bottom: number } {
  const lines = wrap(title, (WIDTH - 2 * MARGIN) / TITLE_CHARACTER);
  return {
    lines: lines.map(
      (line, i) =>
        `<text x='${MARGIN}' y='${26 + i * 20}' font-size='15' font-weight='bold'>${escapeText(line)}</text>`,
    ),
    bottom: 12 + lines.length * 20,
  };
}

function wrap(text: string, most: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= most) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function picture(height: number, title: string, parts: readonly string[]): string {
  const size = `width='${WIDTH}' height='${height}' viewBox='0 0 ${WIDTH} ${height}'`;
  return [
    `<svg class='chart' xmlns='http://www.w3.org/2000/svg' ${size} role='img' aria-label='${escapeText(title)}' font-family='system-ui, sans-serif' font-size='13' fill='var(--chart-text)'>`,
    STYLE,
    `<rect width='${WIDTH}' height='${height}' fill='var(--chart-back)'/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function escapeText(text: string): string {
  return text.replaceAll("*", "").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("'", "&#39;");
}
