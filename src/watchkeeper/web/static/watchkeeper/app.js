// Small helps that work without: copy buttons, keyboard, the reader's time zone. Everything important works without this file.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `timezone=${encodeURIComponent(zone)};path=/;max-age=31536000;samesite=lax`;

document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = document.getElementById(copy.dataset.copy);
    navigator.clipboard.writeText(source.textContent.trim()).then(() => { copy.textContent = copy.dataset.done || "✓"; });
  }
  const opens = event.target.closest("[data-opens]");
  if (opens) document.getElementById(opens.dataset.opens).showModal();
  const link = event.target.closest("[data-opens-link]");
  if (link && document.getElementById(link.dataset.opensLink)) { event.preventDefault(); document.getElementById(link.dataset.opensLink).showModal(); }
  const takes = event.target.closest("[data-takes]");
  if (takes) {
    for (const [name, value] of Object.entries(JSON.parse(takes.dataset.takes))) takes.form.elements[name].value = value;
    takes.setAttribute("aria-pressed", "true");
  }
  const closes = event.target.closest("[data-closes]");
  if (closes) closes.closest("dialog").close();
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

let goes = false;
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const rows = [...document.querySelectorAll("[data-row] a.name, [data-row] a.row-link")];
  const here = rows.indexOf(document.activeElement);
  if (goes && (event.key === "b" || event.key === "i")) location.href = event.key === "b" ? "/" : "/incidents/";
  goes = event.key === "g";
  if (event.key === "/") { const search = [...document.querySelectorAll("input[type=search]")].find((field) => field.offsetParent); if (search) { event.preventDefault(); search.focus(); } }
  if (event.key === "j") rows[Math.min(here + 1, rows.length - 1)]?.focus();
  if (event.key === "k") rows[Math.max(here - 1, 0)]?.focus();
  if (event.key === "?") document.getElementById("keys")?.showModal();
});
