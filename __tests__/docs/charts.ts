import type { Page } from "playwright-core";

/**
 * What cannot be read of the charts in a page: text with a contrast below 4.5 to what is behind it (WCAG AA), lines and bars
 * below 3, and text that is cut off or that overlaps other text. The script runs in the browser.
 */
export const unreadable = (page: Page): Promise<string[]> => page.evaluate(SCRIPT);

/** The number of charts in a page. */
export const chartsIn = (page: Page): Promise<number> => page.locator("svg.chart").count();

const SCRIPT = `(() => {
  const rgb = (colour) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (colour) => {
    const [r, g, b] = rgb(colour).map((part) => part / 255).map((part) =>
      part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const found = [];
  for (const chart of document.querySelectorAll("svg.chart")) {
    const [back, ...bars] = chart.querySelectorAll("rect");
    const behind = getComputedStyle(back).fill;
    const check = (name, colour, least) => {
      const value = contrast(colour, behind);
      if (value < least) found.push(name + ": " + colour + " on " + behind + " is " + value.toFixed(2));
    };
    const texts = [...chart.querySelectorAll("text")];
    for (const text of texts) check(text.textContent, getComputedStyle(text).fill, 4.5);
    for (const bar of [...bars, ...chart.querySelectorAll("circle")]) check(bar.tagName, getComputedStyle(bar).fill, 3);
    for (const line of chart.querySelectorAll("polyline")) check("line", getComputedStyle(line).stroke, 3);
    const whole = chart.getBoundingClientRect();
    const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
    for (const [i, [name, box]] of boxes.entries()) {
      if (box.left < whole.left || box.right > whole.right || box.bottom > whole.bottom) found.push(name + " is cut off");
      for (const [other, its] of boxes.slice(i + 1))
        if (box.left < its.right && its.left < box.right && box.top + 2 < its.bottom && its.top + 2 < box.bottom)
          found.push(name + " overlaps " + other);
    }
  }
  return found;
})()`;
