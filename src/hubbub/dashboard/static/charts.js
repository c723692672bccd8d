// Draws the Vega-Lite specifications that come with a page, in its colors. The library is fetched when there is a chart.

const script = import.meta.url;
const source = document.querySelector("script[data-vega]").dataset.vega;
let library;

function load() {
  library ??= new Promise((resolve, reject) => {
    const tag = Object.assign(document.createElement("script"), { src: source, type: "module" });
    tag.onload = () => resolve(window.vegaEmbed);
    tag.onerror = () => reject(new Error(`${script}: the charts' library did not arrive`));
    document.head.append(tag);
  });
  return library;
}

// A token is a pair of colors; what the browser makes of it in this theme is asked of an element that has it.
function colors() {
  const probe = document.body.appendChild(document.createElement("i"));
  const found = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const names = ["accent", "bad", "before", "grid", "good", "ink", "ink-2", "ink-3", "line-2", "second", "surface", "usual"];
  const all = Object.fromEntries(names.map((name) => [name, found(`--${name}`)]));
  probe.remove();
  return all;
}

function config() {
  const color = colors();
  const words = { labelColor: color["ink-3"], titleColor: color["ink-2"], labelFontSize: 11 };
  return {
    background: null,
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    axis: { ...words, gridColor: color.grid, domainColor: color["line-2"], tickColor: color["line-2"] },
    axisX: { grid: false },
    legend: { ...words, labelColor: color["ink-2"], orient: "top" },
    line: { strokeWidth: 2 },
    mark: { color: color.accent },
    style: {
      now: { color: color.accent, stroke: color.accent },
      before: { color: color.before, stroke: color.before, strokeWidth: 1.5, strokeDash: [4, 3] },
      usual: { color: color.usual, fill: color.usual },
      target: { color: color.good, stroke: color.good, strokeWidth: 1.5, strokeDash: [6, 4] },
      incident: { color: color.bad, fill: color.bad, stroke: color.bad },
      marked: { color: color["ink-3"], fill: color["ink-3"], stroke: color["ink-3"] },
      open: { filled: true, fill: color.surface, strokeWidth: 2, size: 60 },
    },
    text: { color: color.ink },
    range: { category: [color.accent, color.second, color.good, "#a855f7", "#e11d48", "#0891b2", color.before, "#84780b"] },
  };
}

async function draw(plot) {
  const data = plot.querySelector("script.spec");
  if (!data) return;
  plot.spec ??= JSON.parse(data.textContent);
  const embed = await load();
  const target = plot.querySelector(".drawn") ?? plot.appendChild(Object.assign(document.createElement("div"), { className: "drawn" }));
  const { view } = await embed(target, plot.spec, { actions: false, ast: true, defaultStyle: false, renderer: "canvas", config: config(), tooltip: { disableDefaultStyle: true } });
  plot.dispatchEvent(new CustomEvent("drawn", { bubbles: true, detail: view }));
  plot.dataset.done = "1";
}

const all = (within) => within.querySelectorAll("[data-chart]").forEach((plot) => draw(plot));
all(document);
document.addEventListener("part", (event) => {
  all(event.target);
  dispatchEvent(new Event("resize")); // a part that came may have moved others: charts fit their panels again
});
document.addEventListener("theme", () => all(document));
