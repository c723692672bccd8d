// Lets the pointer and the arrow keys read a chart over time: the whole plot answers, a click or Enter opens the window.
// A chart is one stop for Tab, a slider whose value is the window in words; the table below says the same.

const near = (readings, x, view) => {
  const scale = view.scale("x");
  const away = (reading) => Math.abs(scale(new Date(reading.at)) - x);
  return readings.reduce((best, reading, n) => (away(reading) < away(readings[best]) ? n : best), 0);
};

const part = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });

class Reader {
  constructor(plot, readings) {
    this.readings = readings;
    this.at = readings.length - 1;
    this.line = part("i", "line");
    this.tip = part("div", "tip");
    this.element = part("div", "reader");
    this.element.tabIndex = 0;
    this.element.role = "slider";
    const opens = readings.some(({ link }) => link) ? ", Enter opens" : "";
    this.element.ariaLabel = `${plot.dataset.title}: arrow keys move${opens}`;
    this.element.ariaValueMin = "1";
    this.element.ariaValueMax = String(readings.length);
    this.element.append(this.line, this.tip);
    this.say();
    this.listen();
    plot.append(this.element);
  }

  listen() {
    this.element.addEventListener("pointermove", (event) => this.show(this.under(event)));
    this.element.addEventListener("pointerleave", () => document.activeElement === this.element || this.hide());
    this.element.addEventListener("pointerdown", (event) => { this.seen = event.pointerType !== "touch" || this.under(event) === this.at; });
    this.element.addEventListener("click", (event) => {
      this.show(this.under(event));
      if (this.seen) this.open(); // the first touch of a window shows it, the second opens it
    });
    this.element.addEventListener("focus", () => this.element.matches(":focus-visible") && this.show(this.at));
    this.element.addEventListener("blur", () => this.hide());
    this.element.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const last = this.readings.length - 1;
    const ways = { ArrowLeft: this.at - 1, ArrowDown: this.at - 1, ArrowRight: this.at + 1, ArrowUp: this.at + 1, Home: 0, End: last };
    if (event.key in ways) this.show(Math.min(Math.max(ways[event.key], 0), last));
    else if (event.key === "Enter") this.open();
    else if (event.key === "Escape") this.hide();
    else return;
    event.preventDefault();
    event.stopPropagation(); // arrows outside of charts move the days of the page
  }

  origin() {
    const { left = 0, top = 0 } = this.view.padding();
    const [x, y] = this.view.origin();
    return [x + left, y + top];
  }

  under(event) {
    return near(this.readings, event.clientX - this.element.getBoundingClientRect().left - this.origin()[0], this.view);
  }

  show(number) {
    this.at = number;
    const [left, top] = this.origin();
    const x = left + this.view.scale("x")(new Date(this.readings[number].at));
    this.line.style.left = `${x}px`;
    this.line.style.top = `${top}px`;
    this.line.style.height = `${this.view.height()}px`;
    this.say();
    const room = this.element.clientWidth - x;
    const wide = this.tip.offsetWidth;
    const place = room > wide + 12 || x < wide + 12 ? Math.min(x + 10, this.element.clientWidth - wide) : x - wide - 10;
    this.tip.style.left = `${Math.max(place, 0)}px`;
    this.element.classList.add("shown");
  }

  say() {
    const { when, lines, link } = this.readings[this.at];
    this.tip.replaceChildren(part("b", "", when), ...lines.map((line) => part("span", "", line)));
    this.element.classList.toggle("opens", Boolean(link));
    this.element.ariaValueNow = String(this.at + 1);
    this.element.ariaValueText = [when, ...lines].join(", ");
  }

  hide() {
    this.element.classList.remove("shown");
  }

  open() {
    const { link } = this.readings[this.at];
    if (link) location.assign(link);
  }
}

document.addEventListener("drawn", ({ target: plot, detail: view }) => {
  const data = plot.querySelector("script.readings");
  if (!data) return;
  plot.reader ??= new Reader(plot, JSON.parse(data.textContent));
  plot.reader.view = view;
});
