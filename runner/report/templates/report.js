"use strict";
// The page works without this script. It adds selection, sorting, the numbers behind a number,
// other baselines, and the comparison of two environments. It fetches nothing.
(async () => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const source = one("a[download]");
  // An old browser cannot unpack it, and shows the page as without a script.
  if (source.download.endsWith(".gz") && !window.DecompressionStream) return;
  const report = JSON.parse(await unpacked(source));
  const metrics = new Map(report.metrics.map((metric) => [metric.name, metric]));
  const axes = [...new Set(report.cells.flatMap((cell) => Object.keys(cell.values)))];
  const counting = report.trials.filter((trial) => trial.counts && !trial.control);
  const trialsOf = new Map(report.cells.map((cell) => [cell.id, []]));
  counting.forEach((trial) => trialsOf.get(trial.cell)?.push(trial));
  const refresh = select();
  sort();
  explain();
  highlight();
  explore();
  environments();
  all("a[download$='.gz']").forEach((link) => (link.onclick = savePlain));
  addEventListener("beforeprint", () => all("details:not(.how)").forEach((details) => (details.open = true)));
  arrive();
  addEventListener("hashchange", arrive);

  // --- the part of the page that its address names ---

  function target() {
    try {
      return document.getElementById(decodeURIComponent(location.hash.slice(1)));
    } catch {
      return null; // a wrong address
    }
  }

  // Rows may be folded, or hidden until now.
  function arrive() {
    for (let part = target()?.closest("details"); part; part = part.parentNode.closest("details")) part.open = true;
    target()?.scrollIntoView();
  }

  // --- files inside the page ---

  async function unpacked(link) {
    const bytes = Uint8Array.from(atob(link.href.split(",")[1]), (letter) => letter.charCodeAt(0));
    if (!link.download.endsWith(".gz")) return new TextDecoder().decode(bytes);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  async function savePlain(event) {
    event.preventDefault();
    const href = URL.createObjectURL(new Blob([await unpacked(event.target)]));
    element("a", { href, download: event.target.download.slice(0, -3) }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60000);
  }

  // --- select cells and a metric; the address of the page holds the selection ---

  function select() {
    const rows = new Map(all("[data-cell]").map((row) => [row, { values: report.cells[row.dataset.cell].values, metric: row.dataset.metric }]));
    const parts = all("figure[data-metric], th[data-metric], td[data-metric]");
    const loose = [...rows.keys()].filter((row) => row.tagName !== "TR");
    const choices = new Map();
    const tools = element("div", { className: "tools" });
    for (const axis of axes) {
      const values = [...new Set(report.cells.map((cell) => cell.values[axis]).filter((value) => value !== undefined))];
      // An axis may be called metric, too.
      if (values.length > 1) add(axis === "metric" ? "axis metric" : axis, values.map((value) => [value, value]), axis);
    }
    if (metrics.size > 1) add("metric", report.metrics.map((metric) => [metric.name, metric.title]));
    const reset = element("button", { type: "button", textContent: "show all" });
    const status = element("span", { role: "status", className: "note" });
    reset.onclick = () => { choices.forEach((choice) => (choice.value = "")); keep(); };
    tools.append(reset, status);
    if (choices.size) one(".about").after(tools);
    const tables = all("table").filter((table) => one("tr[data-cell]", table)).map((table) => {
      const more = element("button", { type: "button" }), shown = { body: table.tBodies[0], most: 100, more };
      more.onclick = () => { shown.most = Infinity; limit(shown); };
      table.after(more);
      return shown;
    });
    addEventListener("hashchange", read);
    addEventListener("beforeprint", () => tables.forEach((shown) => shown.more.click()));
    read();
    return () => tables.forEach(limit);

    function add(key, values, axis = null) {
      const choice = element("select", { name: key, onchange: keep, axis }, new Option("all", ""));
      for (const [value, text] of values) choice.append(new Option(text, value));
      choices.set(key, choice);
      tools.append(element("label", {}, `${key} `, choice));
    }
    function read() {
      if (target()) return apply();
      const wanted = new URLSearchParams(location.hash.slice(1));
      choices.forEach((choice, key) => {
        choice.value = wanted.get(key) ?? "";
        if (choice.selectedIndex < 0) choice.value = "";
      });
      apply();
    }
    function keep() {
      const wanted = new URLSearchParams();
      choices.forEach((choice, key) => choice.value && wanted.set(key, choice.value));
      // The "&" at the end tells a selection from the address of a row.
      history.replaceState(null, "", wanted.size ? `#${wanted}&` : location.pathname + location.search);
      apply();
    }
    function apply() {
      const wanted = [...choices.values()].filter((choice) => choice.axis !== null && choice.value);
      const metric = choices.get("metric")?.value ?? "";
      let count = 0;
      for (const about of rows.values()) {
        about.fits = wanted.every((choice) => about.values[choice.axis] === choice.value) && !(metric && about.metric && about.metric !== metric);
        count += about.fits;
      }
      for (const part of parts) part.hidden = metric !== "" && part.dataset.metric !== metric;
      for (const row of loose) row.hidden = !rows.get(row).fits;
      for (const box of all("#cells .scroll")) {
        const heads = all("th[data-metric]", box);
        box.hidden = heads.length > 0 && heads.every((head) => head.hidden);
      }
      tables.forEach(limit);
      follow();
      status.textContent = count < rows.size ? `${count} of ${rows.size} rows` : "";
    }
    // Shows the first rows that fit. A browser needs a second to lay out thousands.
    function limit({ body, most, more }) {
      let count = 0;
      const wanted = target();
      for (const row of body.rows) {
        const fits = rows.get(row)?.fits ?? true;
        count += fits;
        row.hidden = !fits || (count > most && row !== wanted);
        if (!row.hidden) dress(row);
      }
      more.hidden = count <= most;
      more.textContent = `show all ${count} rows`;
    }
  }

  // The metric that is selected for all sections is also explored.
  function follow() {
    const chosen = one(".tools [name=metric]")?.value, own = one("#explore [name=metric]");
    if (!chosen || !own || own.value === chosen) return;
    own.value = chosen;
    own.onchange();
  }

  // Only the numbers of rows that are shown become buttons.
  function dress(row) {
    for (const cell of all("td[data-metric][data-v]", row)) {
      if (one("button", cell)) continue;
      cell.append(element("button", { type: "button", title: "How was this computed?" }, ...cell.childNodes));
    }
  }

  // --- sort a table by a column ---

  function sort() {
    for (const head of all("main thead th")) {
      const button = element("button", { type: "button", textContent: head.textContent });
      head.replaceChildren(button);
      button.onclick = () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        all("th", head.parentNode).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = head.closest("table").tBodies[0];
        const keyed = [...body.rows].map((row) => [key(row.cells[head.cellIndex]), row]);
        keyed.sort(([a], [b]) => order(a, b, up ? 1 : -1));
        body.append(...keyed.map(([, row]) => row));
        refresh();
      };
    }
    function key(cell) {
      const text = cell.firstChild?.textContent ?? "";
      return cell.dataset.v === undefined ? text : Number(cell.dataset.v);
    }
    // What has no number comes last.
    function order(a, b, way) {
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return way * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
    }
  }

  // --- the numbers behind a number ---

  function explain() {
    const dialog = element("dialog");
    document.body.append(dialog);
    one("#cells")?.addEventListener("click", (event) => {
      const cell = event.target.closest("td button")?.closest("td");
      if (!cell) return;
      const about = report.cells[cell.parentNode.dataset.cell];
      const metric = metrics.get(cell.dataset.metric);
      const trials = trialsOf.get(about.id).filter((trial) => Object.hasOwn(trial.numbers, metric.name));
      dialog.replaceChildren(
        element("h3", { textContent: `${metric.title}: ${about.id || "the only cell"}` }),
        element("p", { textContent: `The median of ${trials.length} trial${trials.length === 1 ? "" : "s"}. Each trial gives one number: ${metric.reduced}, from ${metric.source}.` }),
        table(["block", metric.unit || "number", "disturbed by"], trials.map((trial) => [trial.block, short(trial.numbers[metric.name]), trial.disturbed ?? ""])),
        element("form", { method: "dialog" }, element("button", { textContent: "Close" })),
      );
      dialog.showModal();
    });
  }

  function table(titles, rows) {
    const line = (tag, texts) => element("tr", {}, ...texts.map((textContent) => element(tag, { textContent })));
    return element("table", {}, element("thead", {}, line("th", titles)), element("tbody", {}, ...rows.map((texts) => line("td", texts))));
  }
  function short(number) {
    return number === null ? "\u2014" : String(Number(number.toPrecision(5)));
  }

  // --- a dot that is pointed at lights up its block everywhere ---

  function highlight() {
    const light = (block, on) => all(`circle[data-block="${Number(block)}"]`).forEach((dot) => dot.classList.toggle("lit", on));
    for (const [event, on] of [["pointerover", true], ["pointerout", false]]) {
      document.addEventListener(event, ({ target }) => target.dataset?.block && light(target.dataset.block, on));
    }
  }

  // --- another baseline or margin, marked as exploratory ---

  function explore() {
    const usable = report.cells.filter((cell) => trialsOf.get(cell.id).some((trial) => Object.keys(trial.numbers).length));
    // An interval over the blocks of several hosts would be too narrow.
    if (usable.length < 2 || !metrics.size || report.hosts.length > 1) return;
    const baseline = element("select", { name: "baseline" }, ...usable.map((cell) => new Option(cell.id, cell.id)));
    const metric = element("select", { name: "metric" }, ...report.metrics.map((one) => new Option(one.title, one.name)));
    const margin = element("input", { type: "number", min: 0, step: "any", size: 6 });
    const unit = element("span"), result = element("div", { className: "scroll" });
    result.tabIndex = 0;
    const section = element("section", { id: "explore", className: "explore" },
      element("h2", { textContent: "Explore another baseline or margin" }),
      element("p", {}, element("span", { className: "exploratory", textContent: "Exploratory: " }),
        "chosen after the results were seen, so this gives no verdict. Ratio and interval come from the stored numbers, each interval alone."),
      element("p", {}, element("label", {}, "baseline ", baseline), " ", element("label", {}, "metric ", metric), " ", element("label", {}, "margin ", margin), unit),
      result);
    (one("#screening") ?? one("#cells")).after(section);
    one("nav").append(element("a", { href: "#explore", textContent: "Explore" }), " ");
    metric.onchange = () => { reset(); update(); };
    baseline.onchange = margin.oninput = update;
    reset();
    follow();
    // A thousand rows are computed only when they are looked at.
    new IntersectionObserver((seen, observer) => {
      if (!seen.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      update();
    }).observe(section);

    function reset() {
      const chosen = metrics.get(metric.value);
      const ratio = chosen.scale === "ratio";
      margin.value = ratio ? chosen.margin * 100 : chosen.margin;
      unit.textContent = ` ${unitOf(chosen)}`;
    }
    function update() {
      const chosen = metrics.get(metric.value), ratio = chosen.scale === "ratio";
      const old = numbers(baseline.value, chosen);
      const room = ratio ? Math.log1p(margin.value / 100) : Number(margin.value);
      const rows = usable.filter((cell) => cell.id !== baseline.value).map((cell) => {
        const found = change(numbers(cell.id, chosen), old, chosen);
        const medians = [old, numbers(cell.id, chosen)].map((some) => short(median([...some.values()])));
        if (typeof found === "string") return [cell.id, ...medians, "\u2014", found, ""];
        const place = Math.max(-found[1], found[2]) < room ? "inside the margin" : found[1] > 0 || found[2] < 0 ? "excludes zero" : "includes zero";
        const [middle, low, high] = found.map((end) => (ratio ? Math.expm1(end) * 100 : end));
        return [cell.id, ...medians, signed(middle, chosen), `${signed(low, chosen)} to ${signed(high, chosen)}`, place];
      });
      result.replaceChildren(table(["cell", "baseline", "cell's number", "change", `${short(report.exploring.level * 100)} % interval`, "interval"], rows));
    }
    function numbers(cell, chosen) {
      const found = trialsOf.get(cell).filter((trial) =>
        Object.hasOwn(trial.numbers, chosen.name) && !(chosen.timed && trial.disturbed) && !(report.look && trial.block > report.look.blocks));
      return new Map(found.map((trial) => [trial.block, trial.numbers[chosen.name]]));
    }
    function change(of, against, chosen) {
      const ratio = chosen.scale === "ratio", few = "too few blocks";
      if (chosen.paired) {
        const both = [...of.keys()].filter((block) => against.has(block));
        const changes = both.map((block) => (ratio ? Math.log(of.get(block)) - Math.log(against.get(block)) : of.get(block) - against.get(block)));
        if (ratio && both.some((block) => of.get(block) <= 0 || against.get(block) <= 0)) return "needs numbers above zero";
        if (changes.length < 5) return few;
        return interval(mean(changes), Math.sqrt(variance(changes) / changes.length), changes.length - 1);
      }
      const ours = [...of.values()], theirs = [...against.values()];
      if (Math.min(ours.length, theirs.length) < 5) return few;
      const a = variance(ours) / ours.length, b = variance(theirs) / theirs.length;
      const degrees = a + b ? (a + b) ** 2 / (a ** 2 / (ours.length - 1) + b ** 2 / (theirs.length - 1)) : 1;
      return interval(mean(ours) - mean(theirs), Math.sqrt(a + b), degrees);
    }
    function interval(middle, error, degrees) {
      // t's quantile between two whole degrees of freedom: nearly linear in their inverse.
      const known = report.exploring.t, last = known.length;
      const below = Math.min(Math.max(Math.floor(degrees), 1), last), above = Math.min(below + 1, last);
      const share = above === below ? 0 : (1 / below - 1 / degrees) / (1 / below - 1 / above);
      const t = known[below - 1] + share * (known[above - 1] - known[below - 1]);
      return [middle, middle - t * error, middle + t * error];
    }
    function unitOf(chosen) { return chosen.scale === "ratio" ? "%" : chosen.unit === "%" ? "points" : chosen.unit; }
    function signed(number, chosen) {
      return `${number < 0 ? "\u2212" : "+"}${Number(Math.abs(number).toPrecision(3))} ${unitOf(chosen)}`.trim();
    }
    function mean(numbers) { return sum(numbers) / numbers.length; }
    function sum(numbers) { return numbers.reduce((total, number) => total + number, 0); }
    function variance(numbers) {
      const middle = mean(numbers);
      return sum(numbers.map((number) => (number - middle) ** 2)) / (numbers.length - 1);
    }
    function median(numbers) {
      const sorted = numbers.sort((a, b) => a - b), half = sorted.length / 2;
      return sorted.length ? (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2 : null;
    }
  }

  // --- two environments, package by package ---

  function environments() {
    const known = report.environments.filter((environment) => Object.keys(environment.packages).length);
    if (known.length < 2) return;
    const option = (environment) => new Option(environment.name, known.indexOf(environment));
    const [old, fresh] = ["old", "new"].map((name) => element("select", { name }, ...known.map(option)));
    fresh.value = 1;
    const result = element("div", { className: "scroll" });
    result.tabIndex = 0;
    const home = element("div", { id: "packages" }, element("h3", { textContent: "Compare two environments" }),
      element("p", {}, element("label", {}, "old ", old), " ", element("label", {}, "new ", fresh)), result);
    one("#environments").append(home);
    old.onchange = fresh.onchange = update;
    update();

    function update() {
      const [before, after] = [known[old.value], known[fresh.value]];
      const versions = ({ python, packages }) => new Map([["Python", python ?? "\u2014"], ...Object.entries(packages)]);
      const [left, right] = [versions(before), versions(after)];
      const names = [...new Set([...left.keys(), ...right.keys()])];
      const rows = names.filter((name) => left.get(name) !== right.get(name)).map((name) => [name, left.get(name) ?? "\u2014", right.get(name) ?? "\u2014",
        left.has(name) ? (right.has(name) ? "changed" : "removed") : "added"]);
      result.replaceChildren(rows.length ? table(["package", before.name, after.name, "difference"], rows) : "No difference.",
        element("p", { className: "note", textContent: `The same: ${names.length - rows.length} of ${names.length}.` }));
    }
  }
})();
