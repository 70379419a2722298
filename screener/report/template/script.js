"use strict";
(() => {
  const root = document.documentElement, said = document.body.dataset;
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const make = (tag, properties, parent) => {
    const node = Object.assign(document.createElement(tag), properties);
    if (parent) parent.append(node);
    return node;
  };

  addEventListener("load", () => requestAnimationFrame(() => root.classList.add("loaded")));
  document.getElementById("theme").onclick = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  };
  document.getElementById("print").onclick = () => print();

  // ---- tables: sort by heading, filter by words; unknown values stay last in both directions
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim();
    if (text === "" || text === "\u2014") return null;
    const number = Number(text.replace("\u2212", "-").replace(/[+,%]/g, "").replace("万", "e4").replace("億", "e8"));
    return Number.isNaN(number) ? text.toLowerCase() : number;
  };
  const sort = (table, column, sign) => {
    const body = table.tBodies[0];
    const rows = all("tbody tr:not(.g)", table).map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return (a < b ? -1 : a > b ? 1 : 0) * sign;
    });
    all(".g", table).forEach((row) => (row.hidden = true));
    body.append(...rows.map(([, row]) => row));
  };
  all("table[data-sort]").forEach((table) => {
    all("tbody", table).forEach((body) => {
      const stage = body.querySelector(".g");
      if (stage) all("tr", body).forEach((row) => (row.dataset.stage = stage.cells[0].textContent));
    });
    const drawn = new Set(all("tbody svg", table).map((each) => each.parentNode.cellIndex));
    all("thead th", table).forEach((head, column) => {
      if (drawn.has(column)) return;
      // not a <button>: a heading that repeats on every printed page loses those
      const button = make("span", { role: "button", tabIndex: 0, textContent: head.textContent, title: head.title || table.dataset.sort });
      head.replaceChildren(button);
      button.onkeydown = (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); button.click(); }
      };
      button.onclick = () => {
        const up = head.getAttribute("aria-sort") === "descending";
        all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(table, column, up ? 1 : -1);
      };
    });
  });
  all("table[data-filter]").forEach((table) => {
    const label = make("label", { className: "filter", textContent: table.dataset.filter });
    const input = make("input", { type: "search", placeholder: table.dataset.hint }, label);
    const count = make("output", {}, label);
    table.closest(".scroll").before(label);
    input.oninput = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const rows = all("tbody tr:not(.g)", table);
      rows.forEach((row) => {
        const text = (row.textContent + " " + (row.dataset.stage || "")).toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      });
      const sorted = table.querySelector("th[aria-sort]");
      all(".g", table).forEach((head) => {
        head.hidden = Boolean(sorted) || !all("tr:not(.g)", head.parentNode).some((row) => !row.hidden);
      });
      count.textContent = words.length ? rows.filter((row) => !row.hidden).length + " / " + rows.length : "";
    };
  });

  all(".ribbon a").forEach((stage) => (stage.onclick = () => {
    const input = document.querySelector("#market input");
    input.value = stage.textContent;
    input.oninput();
  }));

  // ---- charts: the values are read back from the drawn paths, so the page carries them only once
  const WEEK = 7 * 864e5;
  const decode = (path, axis, height) => {
    const found = [];
    let x = 0, y = 0, absolute = true;
    const pairs = /([Ml]?)\s*(-?\d+)[ ,]?(-?\d+)/g;
    for (let hit; (hit = pairs.exec(path)); ) {
      if (hit[1]) absolute = hit[1] === "M";
      x = absolute ? +hit[2] : x + +hit[2];
      y = absolute ? +hit[3] : y + +hit[3];
      found.push([x / 1000, axis.at(y / height)]);
    }
    return found;
  };
  const axisOf = (low, high, log) => {
    const f = log ? Math.log : (v) => v, g = log ? Math.exp : (v) => v;
    return { low, high, log, at: (share) => g(f(high) - share * (f(high) - f(low))), share: (v) => (f(high) - f(v)) / (f(high) - f(low)) };
  };
  const ticksOf = ({ low, high, log }) => {
    const found = [];
    if (log) for (let n = Math.floor(Math.log10(low)); n <= Math.log10(high); n++)
      for (const m of [1, 2, 5]) if (m * 10 ** n >= low && m * 10 ** n <= high) found.push(m * 10 ** n);
    if (found.length > 2) return found;
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((m) => rough <= m * power) * power;
    return Array.from({ length: Math.floor(high / step) - Math.ceil(low / step) + 1 }, (_, i) => (Math.ceil(low / step) + i) * step);
  };

  all("figure.chart").forEach((figure) => {
    const { first, last, low, high, shaded } = figure.dataset;
    const [plot, fall] = all("svg.plot", figure);
    const svg = (tag, attributes, parent, text) => {
      const node = document.createElementNS(plot.namespaceURI, tag);
      Object.entries(attributes).forEach(([name, each]) => node.setAttribute(name, each));
      if (text !== undefined) node.textContent = text;
      if (parent) parent.append(node);
      return node;
    };
    const span = Math.round((new Date(last) - new Date(first)) / WEEK + 0.49);
    const weekOf = (index) => new Date(Math.min(+new Date(first) + index * WEEK, +new Date(last))).toISOString().slice(0, 10).replace(/-/g, said.dash || "-");
    const axis = axisOf(+low, +high, "logscale" in figure.dataset);
    const paths = all("svg svg path", plot);
    let from = 0, log = axis.log, scale = axis, lines, depths, shown;
    // read when a chart is first touched: a page of ten charts is ready sooner
    const load = () => {
      if (lines) return;
      shown = lines = paths.map((path) => decode(path.getAttribute("d"), axis, 500).map(([x, v]) => [Math.round(x * span), v]));
      depths = decode(fall.querySelector("path").getAttribute("d").split("L")[0], axisOf(+fall.dataset.low, 0, false), 160);
    };

    const draw = () => {
      load();
      shown = lines.map((line) => {
        const kept = line.filter(([index]) => index >= from);
        return kept.map(([index, v]) => [index, from && kept.length ? (100 * v) / kept[0][1] : v]);
      });
      const values = shown.flat().map(([, v]) => v);
      let bottom = Math.min(...values), top = Math.max(...values);
      const air = log ? (top / bottom) ** 0.04 : 0.04 * (top - bottom) || 1;
      scale = log ? axisOf(bottom / air, top * air, true) : axisOf(bottom - air, top + air, false);
      const at = (index) => (index - from) / (span - from);
      shown.forEach((line, i) => paths[i].setAttribute("d", "M" + line.map(([index, v]) => (at(index) * 1000).toFixed(1) + " " + (scale.share(v) * 500).toFixed(1)).join("L")));
      const y = plot.querySelector(".y"), x = plot.querySelector(".x");
      y.replaceChildren();
      ticksOf(scale).forEach((tick) => {
        const place = scale.share(tick) * 100 + "%";
        svg("line", { x2: "100%", y1: place, y2: place }, y);
        svg("text", { x: 0, y: place, dx: -7, dy: ".33em" }, y, +tick.toPrecision(6));
      });
      x.replaceChildren();
      const short = span - from <= 70;
      for (let i = Math.max(from, 0) + 1; i <= span; i++) {
        const [a, b] = [weekOf(i - 1), weekOf(i)];
        const turned = short ? a.slice(0, 7) !== b.slice(0, 7) && (+b.slice(5, 7) % 3 === 1 || span - from < 30) : a.slice(0, 4) !== b.slice(0, 4);
        if (turned && at(i) < 0.97) svg("text", { x: at(i) * 100 + "%", y: "100%", dy: "1.45em" }, x, b.slice(0, short ? 7 : 4));
      }
      const ends = all(".end text", plot).map((text, i) => [text, shown[i].at(-1)]).filter(([, end]) => end).sort((a, b) => b[1][1] - a[1][1]);
      let floor = -1;
      ends.forEach(([text, [, v]]) => {
        floor = Math.max(scale.share(v) * 100, floor + 8);
        text.setAttribute("y", floor + "%");
        text.querySelector("tspan").textContent = v.toFixed(0);
      });
      const shade = Math.max(0, ((+shaded / 100) * span - from) / (span - from));
      plot.querySelector(".shade").setAttribute("width", shade * 100 + "%");
      const words = plot.querySelector(".shade-label");
      if (words) words.setAttribute("visibility", shade > 0.2 ? "visible" : "hidden");
      const depth = depths.map(([share, v]) => [Math.round(share * span), v]).filter(([index]) => index >= from);
      fall.querySelector("path").setAttribute("d", "M" + depth.map(([index, v]) => (at(index) * 1000).toFixed(1) + " " + ((v / +fall.dataset.low) * 160).toFixed(1)).join("L") + "L1000 0L0 0z");
    };

    const caption = figure.querySelector("figcaption");
    const named = caption.querySelector("span");
    const bar = make("span", { className: "ranges" });
    caption.prepend(bar);
    const press = (chosen, buttons) => buttons.forEach((each) => each.setAttribute("aria-pressed", each === chosen));
    const ranges = [1, 3, 0].map((n) => [n, n ? n + said.year : said.all]).filter(([years]) => years * 52 < span - 8).map(([years, textContent]) => {
      const button = make("button", { type: "button", textContent }, bar);
      button.onclick = () => { from = years ? span - years * 52 : 0; press(button, ranges); draw(); };
      return button;
    });
    press(ranges.at(-1), ranges);
    const scaled = make("button", { type: "button", textContent: said.log }, bar);
    scaled.setAttribute("aria-pressed", log);
    scaled.onclick = () => {
      log = !log;
      scaled.setAttribute("aria-pressed", log);
      named.textContent = said.scales.split("|")[+log];
      draw();
    };

    const cross = svg("line", { class: "cross", y2: "100%", visibility: "hidden" }, plot);
    const readout = make("p", { className: "readout" });
    readout.setAttribute("aria-live", "polite");
    plot.after(readout);
    let index = span;
    const read = (wanted) => {
      load();
      index = Math.max(from, Math.min(span, wanted));
      const x = ((index - from) / (span - from)) * 100 + "%";
      Object.entries({ x1: x, x2: x, visibility: "visible" }).forEach(([name, each]) => cross.setAttribute(name, each));
      const parts = shown.map((line, i) => {
        const hit = line.find(([at]) => at === index);
        return paths[i].dataset.name + " " + (hit ? hit[1].toFixed(1) : "\u2014");
      });
      readout.textContent = said.week + " " + weekOf(index) + ": " + parts.join(", ");
    };
    const point = (event) => {
      const box = plot.getBoundingClientRect();
      read(from + Math.round(((event.clientX - box.left) / box.width) * (span - from)));
    };
    plot.onpointermove = plot.onpointerdown = point;
    plot.onpointerleave = () => cross.setAttribute("visibility", "hidden");
    plot.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) { event.preventDefault(); read(index + step); }
    };
  });
})();
