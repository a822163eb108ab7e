// Everything can be read without this script. It adds the light/dark switch, the label beside a work,
// and the link between a recommendation and the works of the profile that speak for it.
(() => {
  "use strict";
  const root = document.documentElement;
  const toggle = document.querySelector(".toggle");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const name = () => { toggle.textContent = isDark() ? "Light" : "Dark"; };
  toggle.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
  dark.addEventListener("change", name);
  toggle.hidden = false;
  name();

  const label = document.querySelector(".label");
  const [frame, words] = label.children;
  let shown = null;

  const clear = () => {
    if (!shown) return;
    const visitor = shown.closest(".visitor");
    if (visitor) {
      visitor.classList.remove("asking");
      visitor.querySelectorAll(".speaks").forEach((work) => work.classList.remove("speaks"));
    }
    shown = null;
    label.hidden = true;
  };

  const line = (kind, text) => {
    const part = document.createElement("p");
    part.className = kind;
    part.textContent = text;
    words.append(part);
  };

  const show = (work) => {
    if (work === shown) return;
    clear();
    shown = work;
    const picture = work.querySelector(".frame > *");
    frame.replaceChildren(picture.cloneNode(true));
    words.replaceChildren();
    line("name", picture.getAttribute("aria-label") || picture.textContent);
    if (work.dataset.say) line("named", work.dataset.say);
    const reasons = (work.dataset.because || "").split(" ").filter(Boolean);
    if (reasons.length) {
      const visitor = work.closest(".visitor");
      visitor.classList.add("asking");
      for (const row of reasons) {
        visitor.querySelectorAll(`.had [data-row="${row}"]`).forEach((one) => one.classList.add("speaks"));
      }
      const names = [...work.querySelectorAll(".because [data-name]")].map((one) => one.dataset.name);
      line("named", `Because of ${names.join("; ")}`);
    }
    label.hidden = false;
  };

  const workOf = (event) => event.target.closest && event.target.closest(".work");
  // Not pointerover: scrolling with the keys moves works under a mouse that rests.
  document.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") { const work = workOf(event); if (work) show(work); else clear(); }
  });
  document.addEventListener("click", (event) => { const work = workOf(event); if (work) show(work); else clear(); });
  document.addEventListener("focusin", (event) => {
    const work = workOf(event);
    if (work && work.matches(":focus-visible")) show(work); else clear();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    const work = workOf(event);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!work || !step || !work.classList.contains("rec")) return;
    const all = [...work.parentElement.children];
    const next = all[all.indexOf(work) + step];
    if (next) { work.tabIndex = -1; next.tabIndex = 0; next.focus(); event.preventDefault(); }
  });
  // One stop per strip for the Tab key; the arrow keys walk inside it.
  document.querySelectorAll(".recs").forEach((strip) => {
    [...strip.children].forEach((work, place) => { work.tabIndex = place ? -1 : 0; });
  });
})();
