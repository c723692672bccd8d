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

function config() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const words = { labelColor: color("--soft"), titleColor: color("--soft"), labelFontSize: 11 };
  return {
    background: null,
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    axis: { ...words, gridColor: color("--line"), domainColor: color("--line"), tickColor: color("--line") },
    legend: { ...words, orient: "top" },
    line: { strokeWidth: 2 },
    mark: { color: color("--accent") },
    text: { color: color("--ink") },
    range: { category: [color("--accent"), "#d97706", "#0f9d6b", "#a855f7", "#e11d48", "#0891b2", "#84780b", "#78716c"] },
  };
}

async function draw(plot) {
  const data = plot.querySelector("script[type='application/json']");
  if (!data) return;
  plot.spec ??= JSON.parse(data.textContent);
  const embed = await load();
  const target = plot.querySelector(".drawn") ?? plot.appendChild(Object.assign(document.createElement("div"), { className: "drawn" }));
  await embed(target, plot.spec, { actions: false, ast: true, defaultStyle: false, renderer: "canvas", config: config(), tooltip: { disableDefaultStyle: true } });
  plot.dataset.done = "1";
}

const all = (within) => within.querySelectorAll("[data-chart]").forEach((plot) => draw(plot));
all(document);
document.addEventListener("part", (event) => all(event.target));
document.addEventListener("theme", () => all(document));
