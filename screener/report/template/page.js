"use strict";
(() => {
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  const key = (cell) => {
    const raw = cell.dataset.sort ?? cell.textContent;
    if (raw === "—" || raw === "") return -Infinity;
    const number = Number(raw.replace("−", "-").replace(/,/g, ""));
    return Number.isNaN(number) ? raw.toLowerCase() : number;
  };
  for (const table of all("table.sortable")) {
    all("th button", table).forEach((button) => {
      const head = button.parentElement, column = head.cellIndex;
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending" && (head.classList.contains("n") || head.getAttribute("aria-sort") === "ascending");
        all("th", table).forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0], sign = down ? -1 : 1;
        const rows = [...body.rows].map((row) => [key(row.cells[column]), row]);
        rows.sort(([a], [b]) => (typeof a === typeof b ? (a < b ? -sign : a > b ? sign : 0) : typeof a === "number" ? -1 : 1));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }
  for (const input of all("input.filter")) {
    let table = input.nextElementSibling.querySelector("table");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
  }
  for (const figure of all("figure[data-points]")) {
    const points = JSON.parse(figure.dataset.points), plot = figure.querySelector(".plot");
    const cross = figure.querySelector(".cross"), reading = figure.querySelector(".reading");
    const count = points.values[0].length, start = Date.parse(points.from);
    let at = count - 1;
    const show = (position) => {
      at = Math.max(0, Math.min(count - 1, position));
      cross.hidden = false;
      cross.style.left = (100 * at) / Math.max(count - 1, 1) + "%";
      const day = new Date(start + at * 7 * 864e5).toISOString().slice(0, 10);
      reading.textContent = day + "  " + points.names.map((name, line) => name + " " + (points.values[line][at] ?? "—")).join("  ");
    };
    const hide = () => { cross.hidden = true; reading.textContent = ""; };
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      show(Math.round(((event.clientX - box.left) / box.width) * (count - 1)));
    });
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -13, PageDown: 13 }[event.key];
      if (step) { event.preventDefault(); show(at + step); }
    });
  }
})();
