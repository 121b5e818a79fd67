/* Improves what works without it: "/" goes to the search, a chip opens its filter. */
"use strict";

document.documentElement.classList.add("scripted");

document.addEventListener("keydown", (event) => {
  const inField = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || inField || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.getElementById("search");
  if (!search || !search.checkVisibility()) return;
  event.preventDefault();
  search.focus();
});

/* A chip's body leads to its filter: open what is folded around it. */
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-opens]");
  const facet = link && document.getElementById(link.dataset.opens);
  if (!facet) return;
  for (let part = facet; part; part = part.parentElement) {
    if (part instanceof HTMLDetailsElement) part.open = true;
  }
});

/* Days given by hand and a named period exclude each other: the last one touched counts. */
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form || form.id !== "facets") return;
  const days = [form.elements.started_from, form.elements.started_to];
  if (event.target === form.elements.period && form.elements.period.value !== "custom") {
    days.forEach((day) => { day.value = ""; });
  } else if (days.includes(event.target) && days.some((day) => day.value)) {
    form.elements.period.value = "custom";
  }
}, true);

/* Empty fields stay out of the address. */
document.addEventListener("htmx:configRequest", (event) => {
  const parameters = event.detail.parameters;
  for (const name of Object.keys(parameters)) {
    if (parameters[name] === "" && event.detail.verb === "get") delete parameters[name];
  }
});

/* What takes a while says so; coming back to a page that the browser kept starts afresh. */
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || !button.dataset.busy) return;
  button.textContent = button.dataset.busy;
  button.setAttribute("aria-busy", "true");
  setTimeout(() => { button.disabled = true; });
});
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
