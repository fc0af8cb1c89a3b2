// Shows one table at a time, filters its rows, lights up a row and its arrow together, zooms the diagram.
"use strict";
document.body.classList.add("live");

const sections = [...document.querySelectorAll("section")];
const links = [...document.querySelectorAll("nav a")];
const views = new Map();

function route() {
  const wanted = decodeURIComponent(location.hash.slice(1)) || "overview";
  const section = document.getElementById(wanted) || sections[0];
  sections.forEach((each) => each.classList.toggle("here", each === section));
  links.forEach((each) => each.classList.toggle("here", decodeURIComponent(each.hash.slice(1)) === section.id));
  if (links.length) document.title = section.id === "overview" ? "calltable" : `${section.id} · calltable`;
  if (views.has(section)) views.get(section).start();
}

// ------------------------------------------------------------------ pan and zoom, by the view box

const LEGIBLE = 0.72; // pixels for a unit of the drawing: letters of eight pixels

function zoomable(canvas) {
  const svg = canvas.querySelector("svg.diagram");
  const whole = svg.viewBox.baseVal;
  const full = { x: whole.x, y: whole.y, width: whole.width, height: whole.height };
  let view = null;

  const apply = () => svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  const scale = () => canvas.clientWidth / view.width;
  const fitting = () => Math.min(canvas.clientWidth / full.width, canvas.clientHeight / full.height, 1.4);
  function set(pixels, centerX, centerY) {
    const width = canvas.clientWidth / pixels;
    const height = canvas.clientHeight / pixels;
    view = { x: centerX - width / 2, y: centerY - height / 2, width, height };
    apply();
  }
  const fit = () => set(fitting(), full.x + full.width / 2, full.y + full.height / 2);
  function zoom(factor, x, y) {
    view = { x: x - (x - view.x) / factor, y: y - (y - view.y) / factor, width: view.width / factor, height: view.height / factor };
    apply();
  }
  const middle = () => [view.x + view.width / 2, view.y + view.height / 2];
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      const box = canvas.getBoundingClientRect();
      zoom(Math.exp(-event.deltaY / 200), view.x + (event.clientX - box.left) / scale(), view.y + (event.clientY - box.top) / scale());
    } else {
      view.x += event.deltaX / scale();
      view.y += event.deltaY / scale();
      apply();
    }
  }, { passive: false });
  let held = null;
  canvas.addEventListener("pointerdown", (event) => { held = { x: event.clientX, y: event.clientY, moved: false }; });
  window.addEventListener("pointermove", (event) => {
    if (!held) return;
    const dx = event.clientX - held.x;
    const dy = event.clientY - held.y;
    if (Math.abs(dx) + Math.abs(dy) < 3 && !held.moved) return;
    held = { x: event.clientX, y: event.clientY, moved: true };
    view.x -= dx / scale();
    view.y -= dy / scale();
    apply();
  });
  window.addEventListener("pointerup", () => { held = null; });
  // Bring an arrow into sight when it is named in the list and lies outside.
  function reveal(element) {
    const box = canvas.getBoundingClientRect();
    const at = element.getBoundingClientRect();
    const inside = at.left < box.right && at.right > box.left && at.top < box.bottom && at.bottom > box.top;
    if (inside) return;
    view.x += (at.left + at.width / 2 - box.left - box.width / 2) / scale();
    view.y += (at.top + at.height / 2 - box.top - box.height / 2) / scale();
    apply();
  }
  return { canvas, svg, fit, fitting, reveal, one: () => set(1, ...middle()), larger: () => zoom(1.3, ...middle()), smaller: () => zoom(1 / 1.3, ...middle()) };
}

// The drawings of one table, of which one is shown: with all rows where it is legible when it fits the window.
function drawings(section) {
  const all = [...section.querySelectorAll(".canvas")].map(zoomable);
  const button = section.querySelector('[data-zoom="detail"]');
  let shown = null;

  function show(one) {
    shown = one;
    all.forEach((each) => each.canvas.classList.toggle("shown", each === one));
    button.textContent = all[(all.indexOf(one) + 1) % all.length].canvas.dataset.detail;
    one.fit();
  }
  function start() {
    if (shown) return;
    for (const one of all) {
      show(one);
      if (one.fitting() >= LEGIBLE) return;
    }
  }
  const actions = {
    detail: () => show(all[(all.indexOf(shown) + 1) % all.length]),
    in: () => shown.larger(),
    out: () => shown.smaller(),
    fit: () => shown.fit(),
    one: () => shown.one(),
    wide: () => { section.classList.toggle("wide"); shown.fit(); },
  };
  section.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => actions[button.dataset.zoom]()));
  function reveal(row) {
    const name = CSS.escape(row);
    const drawn = shown.svg.querySelector(`.row[data-row="${name}"], .row[data-rows~="${name}"]`);
    if (drawn) shown.reveal(drawn);
  }
  return { start, reveal, svgs: all.map((one) => one.svg) };
}

// ------------------------------------------------------------------ rows and arrows

function linked(section, view) {
  const inside = (selector) => view.svgs.flatMap((svg) => [...svg.querySelectorAll(selector)]);
  const articles = [...section.querySelectorAll("article")];
  const search = section.querySelector("input[type=search]");
  const kinds = [...section.querySelectorAll(".kinds input")];
  const output = section.querySelector("output");
  const byRow = new Map(articles.map((each) => [each.dataset.row, each]));
  let picked = null;

  function light(rows, states) {
    const ids = new Set(rows);
    view.svgs.forEach((svg) => svg.classList.toggle("dim", ids.size > 0));
    inside("[data-rows]").forEach((each) => {
      each.classList.toggle("lit", each.dataset.rows.split(" ").some((id) => ids.has(id)));
    });
    inside("[data-row]").forEach((each) => each.classList.toggle("lit", ids.has(each.dataset.row)));
    inside("[data-state]").forEach((each) => {
      const mine = each.dataset.state.split(" ");
      each.classList.toggle("lit", mine.some((state) => states.has(state)) || !!each.querySelector(".row.lit"));
    });
    inside("[data-group]").forEach((each) => {
      each.classList.toggle("lit", each.querySelector(".row.lit") !== null);
    });
    articles.forEach((each) => each.classList.toggle("lit", ids.has(each.dataset.row)));
  }
  const statesOf = (article) => {
    const target = article.querySelector(".to");
    return new Set([...article.dataset.states.split(" "), ...(target ? [target.textContent.slice(2)] : [])]);
  };
  articles.forEach((article) => {
    article.addEventListener("mouseenter", () => {
      light([article.dataset.row], statesOf(article));
    });
    article.addEventListener("mouseleave", () => light([], new Set()));
    article.addEventListener("click", () => {
      view.reveal(article.dataset.row);
    });
  });
  inside("[data-row], [data-rows]").forEach((each) => {
    const ids = (each.dataset.rows || each.dataset.row).split(" ");
    each.addEventListener("mouseenter", () => {
      light(ids, new Set(ids.flatMap((id) => [...statesOf(byRow.get(id))])));
    });
    each.addEventListener("mouseleave", () => light([], new Set()));
    each.addEventListener("click", (event) => {
      event.stopPropagation();
      const article = byRow.get(ids[0]);
      if (article.hidden) { search.value = ""; picked = null; kinds.forEach((box) => { box.checked = true; }); filter(); }
      article.scrollIntoView({ block: "center" });
    });
  });
  inside("[data-state]").forEach((each) => each.addEventListener("click", () => {
    picked = picked === each ? null : each;
    filter();
  }));

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set(kinds.filter((each) => each.checked).map((each) => each.value));
    const states = picked ? picked.dataset.state.split(" ") : null;
    let count = 0;
    articles.forEach((article) => {
      const text = `${article.textContent} ${article.dataset.states}`.toLowerCase();
      const fits = shown.has(article.dataset.kind) && words.every((word) => text.includes(word)) &&
        (!states || article.dataset.states.split(" ").some((state) => states.includes(state)));
      article.hidden = !fits;
      count += fits;
    });
    section.querySelectorAll(".from").forEach((each) => { each.hidden = !each.querySelector("article:not([hidden])"); });
    inside(".state").forEach((each) => each.classList.toggle("picked", each === picked));
    output.textContent = count === articles.length ? "" : `${count} of ${articles.length} rows` + (states ? `, in ${states.join(", ")}` : "");
  }
  search.addEventListener("input", filter);
  kinds.forEach((each) => each.addEventListener("change", filter));
}

sections.filter((each) => each.classList.contains("table")).forEach((section) => {
  const view = drawings(section);
  views.set(section, view);
  linked(section, view);
});
window.addEventListener("hashchange", route);
route();
