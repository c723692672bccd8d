// What pages do beyond links and forms: fetch their later parts, keep live ones fresh, keys, theme, names to filter by.

const announce = (element) => element.dispatchEvent(new CustomEvent("part", { bubbles: true }));

async function fill(section, address) {
  const part = section.querySelector(".part");
  try {
    const answer = await fetch(address, { headers: { "Hubbub-Part": "1" }, credentials: "same-origin" });
    const text = await answer.text();
    if (!answer.ok && !text.includes("failed")) throw new Error(answer.status);
    part.innerHTML = text;
  } catch {
    part.innerHTML = '<p class="failed" role="alert">This part did not arrive.</p><p><a href="">Try again</a></p>';
  }
  section.removeAttribute("aria-busy");
  announce(section);
  gather();
}

// When all have come, panels that are only a sentence stand in one panel at the end, each sentence once under the titles that it is about.
function gather() {
  const grid = document.querySelector(".widgets:not([data-again], :has(> [aria-busy], > .nothing))");
  const alone = grid?.querySelectorAll(":scope > .widget:has(> .part > .empty:only-child)") ?? [];
  if (alone.length < 2) return;
  const place = grid.appendChild(Object.assign(document.createElement("section"), { className: "widget wide nothing", innerHTML: "<h2>Nothing to show</h2>" }));
  for (const widget of alone) {
    const sentence = widget.querySelector(".empty").innerHTML;
    const same = [...place.querySelectorAll(".empty")].find((other) => other.innerHTML === sentence);
    if (!same) { place.append(widget); continue; }
    same.closest(".widget").querySelector("header").append(widget.querySelector("h2"));
    widget.remove();
  }
  dispatchEvent(new Event("resize"));
}

gather();
for (const section of document.querySelectorAll("[data-part]")) fill(section, section.dataset.part);

const again = document.querySelector("[data-again]");
if (again) {
  setInterval(() => {
    if (document.hidden) return;
    for (const section of again.querySelectorAll("[data-fresh], [data-part]")) {
      if (!section.contains(document.activeElement) && !section.querySelector(".act[open]")) fill(section, section.dataset.fresh || section.dataset.part);
    }
  }, 1000 * Number(again.dataset.again));
}

const waits = document.querySelector("[data-waits]");
if (waits) {
  const look = setInterval(async () => {
    const answer = await fetch(waits.dataset.waits, { credentials: "same-origin" });
    if (answer.ok && (await answer.json()).arrived) {
      clearInterval(look);
      waits.classList.add("there");
      waits.querySelector(".arrived").hidden = false;
    }
  }, 2000);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  if (event.key === "?") return document.querySelector("[data-help]")?.showModal();
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.key.startsWith("Arrow") && event.target.closest(".scroll")) return;
  if (event.key === "Enter" && event.target.closest("a, button, summary")) return; // it does what stands there
  const link = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (link) link.click();
});

document.querySelector("[data-help-button]")?.addEventListener("click", () => document.querySelector("[data-help]").showModal());

document.querySelector("[data-theme-button]")?.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `theme=${dark ? "light" : "dark"}; path=/; max-age=31536000; samesite=lax`;
  document.dispatchEvent(new Event("theme"));
});

// One menu is open at a time; Escape and a click elsewhere close it.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keyup", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll(".menu[open]")) menu.open = false;
});

// A form's empty fields are no part of the address.
for (const form of document.querySelectorAll("form[method=get]")) {
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  });
}

for (const list of document.querySelectorAll("datalist[data-values]")) {
  const field = document.querySelector(`[list="${list.id}"]`);
  field.addEventListener("focus", async () => {
    const answer = await fetch(list.dataset.values, { credentials: "same-origin" });
    if (!answer.ok) return;
    const { values, labels } = await answer.json();
    for (const [n, value] of values.entries()) list.append(Object.assign(document.createElement("option"), { value, label: labels[n] }));
  }, { once: true });
}

// What a form did is said once: a reload shows the page, and does it no second time.
const done = document.querySelector("[data-here]");
if (done) history.replaceState(null, "", done.dataset.here);
