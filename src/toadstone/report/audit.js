"use strict";

const $ = (id) => document.getElementById(id);
const many = (count) => count.toLocaleString("en");
const tail = (text, most) => (text.length > most ? "…" + text.slice(1 - most) : text);
const rare = (p) => (p === null ? "no p-value" : "p " + (p === 0 || p >= 0.001 ? +p.toPrecision(3) : p.toExponential(1)));
const STATES = { keep: "✓ keep", drop: "✕ drop", "": "undecided" };

/** An element; what hangs in it is text or elements, never HTML. */
function make(tag, told = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(told)) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

/** The decisions in a CSV: [[row, "keep" or "drop"], ...]. */
function parsed(text) {
  const [head, ...lines] = text.replace(/^\ufeff/, "").replaceAll('"', "").split(/\r?\n/);
  if (head.trim() !== "row,decision") throw new Error("its first line is not row,decision");
  return lines.flatMap((line, i) => {
    if (!line.trim()) return [];
    const found = /^\s*(\d+)\s*,\s*(keep|drop)\s*$/.exec(line);
    if (!found) throw new Error(`its line ${i + 2} is not the number of a row, then keep or drop`);
    return [[Number(found[1]), found[2]]];
  });
}

function gallery(data) {
  const n = data.row.length;
  const list = $("list");
  const form = $("filters").elements;
  const byRow = new Map(data.row.map((row, i) => [row, i]));
  const key = `toadstone-audit-${data.digest}`;
  const decided = new Array(n).fill("");
  const done = []; // what each action changed: [[i, the decision before], ...]
  const cards = new Map(); // the cards that are in the page, by place
  const chunks = document.querySelectorAll("script.images");
  const read = [];
  const orders = {};
  let haystack; // what a row contains, for the search
  let shown = []; // the rows that pass the filters, in order
  let at = 0; // the place of the current one
  let columns = 1;
  let looked = { place: 0, i: 0 }; // what the close-up shows
  let printed = 0; // how many cards are on paper
  let size = { width: 0, height: 1, gap: 0 };

  // Decisions

  const csv = () => "row,decision\n" + decided.map((what, i) => what && `${data.row[i]},${what}\n`).join("");

  function store() {
    try {
      localStorage.setItem(key, csv());
    } catch {
      $("unkept").hidden = false;
    }
  }

  function restore() {
    decided.fill("");
    try {
      const held = localStorage.getItem(key);
      for (const [row, what] of held ? parsed(held) : []) if (byRow.has(row)) decided[byRow.get(row)] = what;
    } catch {
      $("unkept").hidden = false;
    }
  }

  /** Decide rows: [[i, decision], ...]; what is the same already is left out. Returns how many changed. */
  function decide(wanted, undoable = true) {
    const before = wanted.filter(([i, what]) => decided[i] !== what).map(([i]) => [i, decided[i]]);
    for (const [i, what] of wanted) decided[i] = what;
    if (before.length && undoable) done.push(before);
    store();
    if (form.state.value) filter();
    else refresh();
    return before.length;
  }

  function one(what) {
    if (!shown.length) return;
    const i = shown[at];
    decide([[i, what]]);
    say(`Row ${data.row[i]}: ${what || "undecided"}.`);
    const gone = shown[at] !== i;
    if (!gone && what && at + 1 < shown.length) move(at + 1);
    else if (gone) move(at);
  }

  function all(what) {
    const changed = decide(shown.map((i) => [i, what]));
    say(`${many(changed)} ${changed === 1 ? "row" : "rows"} set to ${what}. Undo takes it back.`);
  }

  function undo() {
    const before = done.pop();
    if (!before) return say("There is nothing to undo.");
    decide(before, false);
    say(`Undone for ${before.length === 1 ? `row ${data.row[before[0][0]]}` : `${many(before.length)} rows`}.`);
    const place = shown.indexOf(before[0][0]);
    if (place >= 0) at = place;
    draw();
  }

  function exported() {
    const link = make("a", { download: "decisions.csv", href: URL.createObjectURL(new Blob([csv()], { type: "text/csv" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say(`${many(decided.filter(Boolean).length)} decisions exported to decisions.csv.`);
  }

  async function imported() {
    const [file] = $("import").files;
    if (!file) return;
    try {
      const told = parsed(await file.text());
      const known = told.filter(([row]) => byRow.has(row));
      decide(known.map(([row, what]) => [byRow.get(row), what]));
      const strange = told.length - known.length;
      say(`${many(known.length)} decisions imported.` + (strange ? ` Left out, for rows that this page does not have: ${many(strange)}.` : ""));
    } catch (error) {
      say(`Nothing was imported: ${error.message}.`);
    }
    $("import").value = ""; // so that the same file can be taken again
  }

  // Filters

  function order(name) {
    if (orders[name]) return orders[name];
    const values = data[name];
    let rank = (i) => values[i] ?? 2; // a row without a p-value comes after those that have one
    if (name === "label" || name === "detector") {
      const sorted = [...new Set(values)].sort(new Intl.Collator("en", { numeric: true }).compare);
      const ranks = new Map(sorted.map((value, i) => [value, i]));
      rank = (i) => ranks.get(values[i]);
    }
    return (orders[name] = Array.from({ length: n }, (_, i) => i).sort((a, b) => rank(a) - rank(b) || a - b));
  }

  const contents = (i) =>
    [data.row[i], data.where[i], data.label[i], data.suggested[i], data.reason[i], (data.text[i] || []).join("")]
      .concat(data.cells[i].flat())
      .join("\n")
      .toLowerCase();

  const index = () => (haystack ??= data.row.map((_, i) => contents(i)));

  function filter() {
    const start = performance.now();
    const [detector, label, state] = [form.detector.value, form.label.value, form.state.value];
    const most = form.most?.value ? Number(form.most.value) : null;
    const words = form.words.value.trim().toLowerCase();
    if (words) index();
    const current = shown[at];
    shown = order(form.sort.value).filter(
      (i) =>
        (!detector || data.detector[i] === detector) &&
        (!label || data.label[i] === label) &&
        (!state || (decided[i] || "undecided") === state) &&
        (most === null || (data.pvalue[i] !== null && data.pvalue[i] <= most)) &&
        (!words || haystack[i].includes(words)),
    );
    const place = shown.indexOf(current);
    at = place >= 0 ? place : Math.max(0, Math.min(at, shown.length - 1));
    for (const card of cards.values()) card.remove();
    cards.clear();
    $("empty").hidden = shown.length > 0;
    list.setAttribute("aria-rowcount", shown.length);
    refresh();
    measure();
    performance.measure("filter", { start });
  }

  function filtered() {
    at = 0;
    shown = [];
    filter();
    say(`${many(shown.length)} of ${many(n)} rows are shown.`);
    const top = $("filters").getBoundingClientRect().top;
    if (top < 0) scrollBy({ top, behavior: "instant" }); // the rows that were here may be gone
  }

  /** The counts, and the decisions of the cards in the page. */
  function refresh() {
    const tally = { undecided: 0, keep: 0, drop: 0 };
    for (const what of decided) tally[what || "undecided"] += 1;
    $("count").textContent = `${many(shown.length)} of ${many(n)}`;
    $("tally").textContent = Object.entries(tally).map(([what, count]) => `${many(count)} ${what}`).join(", ");
    for (const what of ["keep", "drop"]) {
      const button = $(`${what}-all`);
      button.textContent = `${what === "keep" ? "Keep" : "Drop"} all ${many(shown.length)} shown`;
      button.disabled = !shown.length;
    }
    $("undo").disabled = !done.length;
    for (const [place, card] of cards) mark(card, shown[place]);
    if ($("close-up").open) mark($("close-up"), looked.i);
  }

  const say = (text) => ($("said").textContent = text);

  // Cards

  function picture(i, side) {
    const group = Math.floor(i / data.together);
    if (!chunks[group]) return [];
    read[group] ??= JSON.parse(chunks[group].textContent);
    const held = read[group][i % data.together];
    if (!held) return [];
    const src = `data:image/${held.startsWith("iVBOR") ? "png" : "webp"};base64,${held}`;
    return [make("img", { src, alt: `Picture of row ${data.row[i]}`, width: side, height: side, decoding: "async" })];
  }

  function text(i, whole) {
    if (!data.text[i]) return [];
    let [before, phrase, after] = data.text[i];
    if (!whole) {
      const wide = phrase ? 60 : 0;
      if (before.length > wide) before = "…" + before.slice(-wide);
      after = after.slice(0, 400);
    }
    const inside = phrase ? [before, make("mark", {}, phrase), after] : [before, after];
    return [make("p", { class: "text", dir: "auto" }, ...inside)];
  }

  function cells(i, most) {
    if (!data.cells[i].length) return [];
    const head = make("tr", {}, ...["Column", "Value", "Class median", "Robust z"].map((t) => make("th", { scope: "col" }, t)));
    const rows = data.cells[i].slice(0, most).map(([name, value, ...rest]) =>
      make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, name)), make("td", {}, make("b", { class: "bad" }, value)), ...rest.map((t) => make("td", {}, t))),
    );
    return [make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))];
  }

  const labels = (i) => [
    make("small", {}, "class "),
    make("bdi", { class: "label" }, data.label[i]),
    ...(data.suggested[i] === null ? []
      : data.suggested[i] === data.label[i] ? [make("small", {}, ", others agree")]
      : [make("small", {}, ", others say "), make("bdi", { class: "label" }, data.suggested[i])]),
  ];

  const buttons = (i) =>
    ["keep", "drop"].map((what) => {
      const button = make("button", { type: "button", class: what, "aria-label": `${what === "keep" ? "Keep" : "Drop"} row ${data.row[i]}` }, what === "keep" ? "Keep" : "Drop");
      button.onclick = () => {
        const place = shown.indexOf(i);
        if (place >= 0) at = place; // else the close-up shows a row that has left the list
        const next = decided[i] === what ? "" : what;
        decide([[i, next]]);
        say(`Row ${data.row[i]}: ${next || "undecided"}.`);
        if (!button.isConnected && !$("close-up").open) move(at);
        else draw();
      };
      return button;
    });

  function card(place) {
    const i = shown[place];
    const look = make("button", { type: "button", class: "look", "aria-label": `Look closely at row ${data.row[i]}` }, "Details");
    look.onclick = () => closeUp(place);
    const where = data.where[i] ? [make("small", { class: "where" }, make("bdi", {}, tail(data.where[i], 40)))] : [];
    const facts = make("div", { class: "meta" }, ...where, make("p", { class: "labels" }, ...labels(i)),
      make("p", {}, make("b", {}, rare(data.pvalue[i])), " ", make("small", {}, data.detector[i])));
    const flag = data.flagged[i] ? "" : make("small", {}, " not flagged");
    const inside = make("div", { role: "gridcell" },
      make("p", { class: "name" }, make("b", {}, `Row ${data.row[i]}`), " ", make("span", { class: "pill" }), flag),
      make("div", { class: "top" }, ...picture(i, 128), facts), ...text(i, false), ...cells(i, 3),
      make("p", { class: "reason", dir: "auto" }, data.reason[i]),
      make("div", { class: "acts" }, ...buttons(i), look));
    const made = make("div", { class: "row", role: "row", "aria-rowindex": place + 1, "aria-keyshortcuts": "K D U" }, inside);
    made.addEventListener("focusin", () => {
      if (at === place) return;
      at = place;
      draw();
    });
    made.onclick = (event) => event.target.closest("button") || made.focus({ preventScroll: true });
    put(made, place);
    mark(made, i);
    return made;
  }

  /** Show a card's decision. */
  function mark(made, i) {
    const what = decided[i];
    made.dataset.state = what || "undecided";
    const pill = made.querySelector(".pill");
    pill.textContent = STATES[what];
    pill.className = `pill ${{ keep: "good", drop: "bad", "": "" }[what]}`;
    for (const side of ["keep", "drop"]) made.querySelector(`button.${side}`).setAttribute("aria-pressed", what === side);
  }

  function put(made, place) {
    const [x, y] = [place % columns, Math.floor(place / columns)];
    made.style.width = `${size.width}px`;
    made.style.transform = `translate(${x * (size.width + size.gap)}px, ${y * (size.height + size.gap)}px)`;
  }

  /** How wide a card is and how many stand side by side; the style sheet says how high one is. */
  function measure() {
    const style = getComputedStyle(list);
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const gap = parseFloat(style.rowGap);
    const least = (data.kind === "image" ? 17.5 : 26) * rem;
    columns = Math.max(1, Math.floor((list.clientWidth + gap) / (least + gap)));
    size = { width: (list.clientWidth - gap * (columns - 1)) / columns, height: parseFloat(style.gridAutoRows), gap };
    list.style.height = `${Math.max(0, Math.ceil(shown.length / columns) * (size.height + gap) - gap)}px`;
    for (const [place, made] of cards) put(made, place);
    draw();
  }

  /** Put the cards in the page that are in sight, and the current one, which may have the focus; no others. */
  function draw() {
    const step = size.height + size.gap;
    const top = -list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / step) - 2) * columns;
    const last = Math.min(shown.length, Math.max(0, Math.ceil((top + innerHeight) / step) + 2) * columns);
    const wanted = new Set(shown.length ? [at] : []);
    for (let place = first; place < last; place++) wanted.add(place);
    for (let place = 0; place < printed; place++) wanted.add(place);
    for (const [place, made] of cards) {
      if (wanted.has(place)) continue;
      made.remove();
      cards.delete(place);
    }
    let next = list.firstChild;
    for (const place of [...wanted].sort((a, b) => a - b)) {
      let made = cards.get(place);
      if (made) next = made.nextSibling;
      else {
        made = card(place);
        cards.set(place, made);
        list.insertBefore(made, next);
      }
      const turn = place === at ? 0 : -1; // Tab stops once in the list, at the current row
      made.tabIndex = turn;
      for (const button of made.querySelectorAll("button")) button.tabIndex = turn;
    }
  }

  /** Make a place the current one, in sight and with the focus. */
  function move(place) {
    if (!shown.length) return $("reset").focus();
    at = Math.max(0, Math.min(place, shown.length - 1));
    const top = list.getBoundingClientRect().top + Math.floor(at / columns) * (size.height + size.gap);
    const stuck = [...document.querySelectorAll(".bar, .bar p")].find((e) => getComputedStyle(e).position === "sticky");
    const room = (stuck?.offsetHeight || 0) + 8;
    if (top < room) scrollBy({ top: top - room, behavior: "instant" });
    else if (top + size.height > innerHeight - 8) scrollBy({ top: top + size.height - innerHeight + 8, behavior: "instant" });
    draw();
    if ($("close-up").open) closeUp(at);
    else cards.get(at).focus({ preventScroll: true });
  }

  // One row, closely

  function closeUp(place) {
    at = place;
    const i = shown[place];
    looked = { place, i };
    const box = $("close-up");
    const facts = [["Class", data.label[i]], ["Others say", data.suggested[i] ?? "nothing"], ["Flagged", data.flagged[i] ? "yes" : "no"], ["Detector", data.detector[i]], ["Combined p-value", rare(data.pvalue[i])]];
    for (const [name, values] of Object.entries(data.each)) facts.push([name, rare(values[i])]);
    if (data.where[i]) facts.unshift(["Where", data.where[i]]);
    const close = make("button", { type: "button" }, "Close");
    close.onclick = () => box.close();
    const pill = make("span", { class: "pill" });
    box.replaceChildren(
      make("h3", { id: "close-up-title", tabindex: "-1" }, `Row ${data.row[i]} `, pill),
      ...picture(i, 256),
      make("p", { dir: "auto" }, data.reason[i]),
      ...text(i, true), ...cells(i, 5),
      make("dl", { class: "origin" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("bdi", {}, value))))),
      make("div", { class: "acts" }, ...buttons(i), close),
    );
    mark(box, i);
    if (!box.open) box.showModal();
    box.firstChild.focus();
  }

  // Keys

  function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const letter = event.key.toLowerCase();
    const steps = { arrowright: 1, arrowleft: -1, n: 1, p: -1 };
    if (!$("close-up").open) Object.assign(steps, { arrowdown: columns, arrowup: -columns, home: -n, end: n }); // there, they scroll
    const step = steps[letter];
    if (step !== undefined) move(at + step);
    else if (letter === "k") one("keep");
    else if (letter === "d") one("drop");
    else if (letter === "u") one("");
    else if (letter === "z") undo(), move(at);
    else if (event.key === "Enter" && !event.target.closest("button")) closeUp(at);
    else return;
    event.preventDefault();
  }

  for (const name of ["detector", "label"]) {
    const counts = new Map();
    for (const value of data[name]) counts.set(value, (counts.get(value) || 0) + 1);
    for (const i of order(name)) {
      const value = data[name][i];
      if (!counts.has(value)) continue;
      form[name].append(make("option", { value }, `${tail(value, 60)} (${many(counts.get(value))})`));
      counts.delete(value);
    }
  }
  list.addEventListener("keydown", press);
  $("close-up").addEventListener("keydown", press);
  $("close-up").addEventListener("close", () => move(looked.place)); // not to the row that opened it
  $("filters").addEventListener("input", filtered);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(filtered));
  $("keep-all").onclick = () => all("keep");
  $("drop-all").onclick = () => all("drop");
  $("undo").onclick = undo;
  $("export").onclick = exported;
  $("import").onchange = imported;
  $("keys").onclick = () => $("help").showModal();
  $("to-rows").onclick = (event) => (event.preventDefault(), move(at));
  addEventListener("keydown", (event) => {
    if (event.key === "?" && !event.target.closest("input, select, textarea, dialog")) $("help").showModal();
  });
  addEventListener("storage", (event) => {
    if (event.key === key) restore(), filter();
  });
  let waits = false;
  addEventListener("scroll", () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => ((waits = false), draw()));
  }, { passive: true });
  new ResizeObserver(measure).observe(list);
  addEventListener("beforeprint", () => {
    printed = Math.min(shown.length, 100);
    list.classList.add("printed");
    draw();
    $("unprinted").hidden = printed === shown.length;
    $("unprinted").textContent = `The first ${printed} of ${many(shown.length)} rows are printed.`;
  });
  addEventListener("afterprint", () => {
    printed = 0;
    list.classList.remove("printed");
    $("unprinted").hidden = true;
    draw();
  });
  restore();
  filter();
  setTimeout(index, 500); // so that the first search is as quick as the next
}

if ($("held")) gallery(JSON.parse($("held").textContent));
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
