/** The button that loads the demo, and the chart of what it serves and refuses. */
export const load = `<p><button id="load">Load the demo</button> <output id="rates"></output></p>
<svg id="chart" viewBox="0 0 600 160" role="img" aria-label="Requests for /work per second: served and refused" hidden>
<g id="grid"></g><path id="refused"/><path id="served"/></svg>
<p id="legend" hidden><span class="good">\u25a0 served</span> <span class="bad">\u25a0 refused</span>, requests per second</p>`;

export const database = `<p><button id="database">Stop the database</button> <output id="ready"></output></p>`;

export const script = `
  const SHOWN = 80, LEFT = 40, WIDTH = 560, HEIGHT = 140;
  const find = (id) => document.getElementById(id);
  const points = [];
  let last;

  function draw() {
    const most = Math.max(100, ...points.map(({ served, refused }) => Math.max(served, refused)));
    const top = Math.ceil(most / 100) * 100;
    const y = (value) => (10 + HEIGHT - (value / top) * HEIGHT).toFixed(1);
    const line = (name) => points.map((point, i) =>
      (i === 0 ? "M" : "L") + (LEFT + (i / (SHOWN - 1)) * WIDTH).toFixed(1) + " " + y(point[name])).join("");
    for (const name of ["served", "refused"]) find(name).setAttribute("d", line(name));
    find("grid").replaceChildren(...[0, top / 2, top].flatMap((value) => {
      const rule = document.createElementNS("http://www.w3.org/2000/svg", "line");
      for (const [key, at] of Object.entries({ x1: LEFT, x2: LEFT + WIDTH, y1: y(value), y2: y(value) })) rule.setAttribute(key, at);
      const label = document.createElementNS("http://www.w3.org/2000/svg", "text");
      label.setAttribute("x", LEFT - 6);
      label.setAttribute("y", y(value));
      label.textContent = value;
      return [rule, label];
    }));
  }

  function listen() {
    const events = new EventSource("/load/events");
    events.addEventListener("message", ({ data, timeStamp }) => {
      const now = { at: timeStamp, ...JSON.parse(data) };
      if (last !== undefined) {
        const seconds = (now.at - last.at) / 1000;
        const point = {
          served: Math.max(0, Math.round((now.served - last.served) / seconds)),
          refused: Math.max(0, Math.round((now.shed - last.shed) / seconds)),
        };
        points.push(point);
        if (points.length > SHOWN) points.shift();
        find("rates").textContent = point.served + " served and " + point.refused + " refused in a second; at most " +
          now.limit + " at once, " + now.inFlight + " now";
        draw();
      }
      last = now;
    });
    return events;
  }

  let events;
  find("load").addEventListener("click", async () => {
    events ??= listen();
    find("chart").removeAttribute("hidden");
    find("legend").hidden = false;
    const response = await fetch("/load", { method: "POST" });
    if (!response.ok) find("rates").textContent = "The load was refused: " + response.status;
  });

  async function showReady() {
    const response = await fetch("/readyz", { cache: "no-store" });
    const ready = find("ready");
    ready.textContent = "/readyz: " + response.status + " " + (await response.text()).trim();
    ready.className = response.ok ? "good" : "bad";
  }
  find("database").addEventListener("click", async () => {
    const response = await fetch("/database", { method: "POST" });
    if (!response.ok) return;
    const { isUp } = await response.json();
    find("database").textContent = isUp ? "Stop the database" : "Start the database";
    for (let i = 0; i < 40; i++) { // the next run of the check decides
      await showReady();
      if (find("ready").className === (isUp ? "good" : "bad")) return;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  });
  showReady();
`;
