// Charts as SVG, without a library: a few rectangles and lines. They have their own background, so that they can be read in a
// dark page too.
const FONT = "font-family='system-ui, sans-serif' font-size='13'";
const OURS = "#0b6e4f";
const OTHERS = ["#7a8794", "#c06c2b", "#5b5ea6"];

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly isOurs: boolean;
}

export function barChart(title: string, bars: readonly Bar[]): string {
  const [left, right, row] = [400, 60, 26];
  const width = 860;
  const most = Math.max(...bars.map(({ value }) => value));
  const scale = (width - left - right) / most;
  const rows = bars.map(({ label, value, isOurs }, i) => {
    const y = 44 + i * row;
    const fill = isOurs ? OURS : OTHERS[0];
    const weight = isOurs ? " font-weight='bold'" : "";
    return [
      `<text x='${left - 10}' y='${y + 14}' text-anchor='end'${weight}>${escapeText(label)}</text>`,
      `<rect x='${left}' y='${y}' width='${(value * scale).toFixed(1)}' height='18' fill='${fill}'/>`,
      `<text x='${(left + value * scale + 8).toFixed(1)}' y='${y + 14}'${weight}>${value.toFixed(0)}</text>`,
    ].join("");
  });
  return picture(width, 56 + bars.length * row, title, rows);
}

export interface Series {
  readonly label: string;
  readonly values: readonly (number | undefined)[];
  readonly isOurs: boolean;
}

export function lineChart(title: string, labels: readonly string[], series: readonly Series[]): string {
  const [width, height, left, top, bottom, right] = [860, 380, 50, 50, 40, 160];
  const most =
    Math.ceil(Math.max(...series.flatMap(({ values }) => values.map((value) => value ?? 0))) / 10) * 10;
  const x = (i: number) => left + 20 + (i * (width - left - right - 20)) / (labels.length - 1);
  const y = (value: number) => height - bottom - (value * (height - top - bottom)) / most;
  const parts: string[] = [];
  for (let value = 0; value <= most; value += 10) {
    parts.push(
      `<line x1='${left}' x2='${width - right}' y1='${y(value)}' y2='${y(value)}' stroke='#d9dde2'/>`,
    );
    parts.push(`<text x='${left - 8}' y='${y(value) + 4}' text-anchor='end'>${value}</text>`);
  }
  for (const [i, label] of labels.entries()) {
    parts.push(`<text x='${x(i)}' y='${height - 14}' text-anchor='middle'>${escapeText(label)}</text>`);
  }
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
  let lowest = height - bottom + 4;
  for (const { x: at, y: wanted, colour, label } of names.reverse()) {
    const line = Math.min(wanted, lowest); // names do not overlap
    lowest = line - 16;
    parts.push(`<text x='${at}' y='${line}' fill='${colour}' font-weight='bold'>${escapeText(label)}</text>`);
  }
  return picture(width, height, title, parts);
}

function picture(width: number, height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 ${width} ${height}' role='img' ${FONT}>`,
    `<title>${escapeText(title)}</title>`,
    `<rect width='${width}' height='${height}' fill='#ffffff'/>`,
    `<text x='16' y='26' font-size='15' font-weight='bold'>${escapeText(title)}</text>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function escapeText(text: string): string {
  return text.replaceAll("*", "").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
