// Every page works without this script: forms are sent, pages come back. It adds, beside htmx, the light/dark
// switch, soft rehanging, the threads from a work to those that speak for it, and photographs by drop and paste.
(() => {
  "use strict";
  const root = document.documentElement;
  const find = (selector, inside = document) => inside.querySelector(selector);
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const element = (tag, kind, text) => {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // ---------------------------------------------------------------- light and dark, remembered by a cookie
  const toggle = find(".toggle");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const name = () => { toggle.textContent = isDark() ? "Light" : "Dark"; };
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; SameSite=Lax`;
    name();
  });
  dark.addEventListener("change", name);
  toggle.hidden = false;
  name();

  // ---------------------------------------------------------------- what went wrong
  const notice = find("#notice");
  let noticeEnds = 0;
  const tell = (text) => { notice.replaceChildren(element("p", "", text)); fade(); };
  const fade = () => {
    clearTimeout(noticeEnds);
    const stays = find("button", notice); // until the next click, for those who need time to reach it
    if (notice.firstElementChild && !stays) noticeEnds = setTimeout(() => notice.replaceChildren(), 9000);
  };
  const unchanged = "Nothing was changed; please try again.";
  document.addEventListener("htmx:sendError", () => tell(`The gallery does not answer. ${unchanged}`));
  document.addEventListener("htmx:responseError", (event) => {
    const busy = [429, 503].includes(event.detail.xhr.status);
    tell(`${busy ? "The gallery is very busy." : "Something went wrong."} ${unchanged}`);
  });

  // ---------------------------------------------------------------- answers in order, focus kept
  // Clicks that are on their way together may be kept in any order, so that none of their answers need hold all
  // of them; when the last has come back, the wall is asked for once more.
  const order = new WeakMap();
  let asked = 0, answered = 0, underWay = 0, crossed = false, stood = null;
  const cameBack = () => {
    underWay -= 1;
    if (!underWay) find("#hung")?.removeAttribute("aria-busy");
    if (underWay || !crossed) return;
    crossed = false;
    find("#again")?.click(); // the form itself would repeat the button that was clicked last
  };
  // Where focus goes if what holds it is replaced: to the work that takes the place of the one it was at, or to
  // the first of those that come for "More works".
  const placeOf = (here) => {
    const works = all(".liking", here.closest("#hung, #chosen") || find("#hung"));
    if (here.closest(".more")) return works.length;
    return works.indexOf(here.closest("#reason") && shown ? find(".liking", shown) : here);
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    order.set(event.detail.xhr, ++asked);
    event.detail.xhr.addEventListener("loadend", cameBack); // htmx tells nothing of a button that was replaced
    underWay += 1;
    crossed ||= underWay > 1;
    find("#hung")?.setAttribute("aria-busy", "true");
    const here = document.activeElement;
    const region = here && here.closest("#hung, #chosen, #reason, #notice");
    stood = region && { region: region.id === "chosen" ? "#chosen" : "#hung", place: placeOf(here) };
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    const place = order.get(xhr);
    const html = (xhr.getResponseHeader("Content-Type") || "").startsWith("text/html");
    if (!html) tell(`${xhr.status === 413 ? "That is too large." : "Something went wrong."} ${unchanged}`);
    if (!html || place < answered) event.detail.shouldSwap = false;
    else answered = place;
  });
  const refocus = () => {
    const here = document.activeElement;
    if (!stood || (here && here !== document.body && !here.closest("[hidden]"))) return;
    const left = all(".liking", find(stood.region) || document);
    const next = left[Math.min(Math.max(stood.place, 0), left.length - 1)] || find("#main");
    next.focus({ preventScroll: true });
    stood = null;
  };

  // ---------------------------------------------------------------- soft rehanging
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const names = new Map();
  let moving = false;
  const nameWorks = (on) => {
    const bar = find("#chosen");
    if (!bar) return;
    const under = bar.getBoundingClientRect().bottom;
    const used = new Set();
    bar.style.viewTransitionName = on ? "chosen" : "";
    for (const piece of all("#chosen .piece, #hung .piece")) {
      const item = piece.dataset.item;
      const hung = !bar.contains(piece);
      const { top, bottom } = piece.getBoundingClientRect();
      const seen = on && !used.has(item) && top < innerHeight && bottom > (hung ? under : 0);
      if (!names.has(item)) names.set(item, `work-${names.size}`);
      piece.style.viewTransitionName = seen ? names.get(item) : "";
      piece.style.viewTransitionClass = hung ? "hung" : "kept";
      if (seen) used.add(item);
    }
  };
  if (document.startViewTransition) {
    const start = document.startViewTransition.bind(document);
    document.startViewTransition = (change) => {
      const transition = start(change);
      const skipped = () => {}; // a hidden page skips it, and that is no error
      for (const step of [transition.ready, transition.updateCallbackDone]) step.catch(skipped);
      transition.finished.catch(skipped).then(() => { moving = false; nameWorks(false); });
      return transition;
    };
  }
  document.addEventListener("htmx:beforeTransition", (event) => {
    if (calm.matches || moving || !document.startViewTransition) { event.preventDefault(); return; }
    moving = true;
    nameWorks(true);
  });
  document.addEventListener("htmx:afterSwap", () => {
    clear();
    fade();
    refocus();
    if (moving) nameWorks(true);
  });

  // ---------------------------------------------------------------- because of
  const threads = find("#threads");
  const reason = find("#reason");
  let shown = null, pinnedBy = null;

  const clear = () => {
    if (!shown) return;
    shown.classList.remove("asked");
    if (pinnedBy) pinnedBy.setAttribute("aria-expanded", "false");
    root.classList.remove("asking");
    all(".speaks").forEach((piece) => piece.classList.remove("speaks"));
    threads.replaceChildren();
    reason.hidden = true;
    reason.classList.remove("pinned");
    shown = pinnedBy = null;
  };

  const speakersOf = (piece) => JSON.parse(piece.dataset.because || "[]").flatMap(([item, title, percent]) => {
    const work = find(`#chosen [data-item="${CSS.escape(item)}"]`);
    return work ? [{ work, title, percent }] : [];
  });

  const svg = (tag, values) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
    return made;
  };
  const draw = () => {
    threads.replaceChildren();
    if (!shown) return;
    const from = find(".liking", shown).getBoundingClientRect();
    const strip = find(".strip-of-works");
    const edge = strip && strip.getBoundingClientRect();
    const bar = find("#chosen").getBoundingClientRect().bottom;
    // Threads need some way to fall: to a work close under the bar, or half behind it, they lead into its picture.
    const y1 = Math.max(bar + 8, Math.min(Math.max(from.top - 4, bar + 64), from.bottom - 8)), x1 = from.left + from.width / 2;
    for (const { work, percent } of speakersOf(shown)) {
      const to = work.getBoundingClientRect();
      const x2 = Math.min(Math.max(to.left + to.width / 2, edge.left), edge.right), y2 = to.bottom + 4;
      const middle = (y1 + y2) / 2;
      threads.append(
        svg("path", { d: `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`, "stroke-width": 1 + percent / 18 }),
        svg("circle", { cx: x2, cy: y2, r: 4 }),
      );
    }
    if (threads.firstChild) threads.append(svg("circle", { cx: x1, cy: y1, r: 4 }));
  };

  const show = (piece, pin = null) => {
    if (!reason || (piece === shown && !pin)) return;
    clear();
    shown = piece;
    piece.classList.add("asked");
    const speaking = speakersOf(piece);
    root.classList.toggle("asking", speaking.length > 0);
    speaking.forEach(({ work }) => work.classList.add("speaks"));
    if (speaking.length) {
      const { work } = speaking[0];
      const strip = work.parentElement;
      const off = work.offsetLeft < strip.scrollLeft || work.offsetLeft + work.offsetWidth > strip.scrollLeft + strip.clientWidth;
      if (off) strip.scrollLeft = work.offsetLeft - strip.clientWidth / 2;
    }
    tellWhy(piece, speaking, pin);
    draw();
  };

  const tellWhy = (piece, speaking, pin) => {
    const title = find("a.title", piece);
    const artist = find(".by", piece).textContent;
    const named = element("p", "name", title.textContent);
    named.dir = "auto";
    reason.replaceChildren(named, element("p", "", artist));
    if (speaking.length) {
      reason.append(element("p", "said", "Because of"));
      const list = element("ul");
      for (const { work, title: what, percent } of speaking) {
        const item = element("li"), middle = element("span", "what"), called = element("bdi", "", what), bar = element("span", "bar"), full = element("i");
        full.style.width = `${percent}%`;
        bar.append(full);
        middle.append(called, bar);
        const picture = find("img", work);
        const copy = element("span", "seen"), shade = find(".shade", work);
        copy.style.setProperty("--r", work.style.getPropertyValue("--r"));
        if (picture) { const small = element("img"); small.src = picture.currentSrc || picture.src; small.alt = ""; copy.append(small); }
        if (shade) copy.append(shade.cloneNode(true));
        item.append(copy, middle, element("b", "", `${percent} %`));
        list.append(item);
      }
      reason.append(list);
      if (find(".shade", list)) reason.append(element("p", "said", "Bright is where the model looked."));
    } else {
      reason.append(element("p", "said", find(".why", piece).textContent));
    }
    if (pin) {
      const onward = element("p", "onward"), see = element("a", "", "See the work"), not = element("button", "plain", "Not for me");
      see.href = title.href;
      Object.assign(not, { type: "submit", name: "dislike", value: piece.dataset.item });
      not.setAttribute("form", "ask");
      not.setAttribute("hx-post", "/taste");
      const shut = element("button", "shut", "×");
      shut.type = "button";
      shut.setAttribute("aria-label", "Close");
      shut.addEventListener("click", unpin);
      onward.append(see, not);
      reason.append(onward, shut);
      shut.addEventListener("keydown", (event) => { // back to the work, not to the end of the page
        if (event.key !== "Tab" || event.shiftKey) return;
        event.preventDefault();
        unpin();
      });
      htmx.process(reason);
      reason.classList.add("pinned");
      pin.setAttribute("aria-expanded", "true");
      pinnedBy = pin;
    }
    const { left, width } = piece.getBoundingClientRect();
    reason.classList.toggle("left", left + width / 2 > innerWidth * 0.55); // not over the work that is asked about
    reason.hidden = false;
    if (!pin) return;
    reason.focus();
    // On a telephone the sheet would cover the work it speaks of.
    const below = piece.getBoundingClientRect().bottom + 8 - reason.getBoundingClientRect().top;
    if (below > 0 && reason.getBoundingClientRect().width === root.clientWidth) scrollBy(0, below);
  };
  let quiet = false; // focus that comes back asks nothing
  const unpin = () => {
    const back = pinnedBy;
    clear();
    quiet = true;
    if (back) back.focus({ preventScroll: true });
    quiet = false;
  };

  if (reason) {
    const pieceAt = (event) => event.target.closest && event.target.closest("#hung .piece");
    // Not pointerover: scrolling moves works under a mouse that rests.
    document.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse" || pinnedBy) return;
      const piece = pieceAt(event);
      if (piece) show(piece); else clear();
    });
    document.addEventListener("focusin", (event) => {
      if (pinnedBy || quiet) return;
      const piece = pieceAt(event);
      if (piece && event.target.matches(":focus-visible")) show(piece); else if (!piece) clear();
    });
    document.addEventListener("click", (event) => {
      const why = event.target.closest(".ask-why");
      if (why && why === pinnedBy) unpin();
      else if (why) show(why.closest(".piece"), why);
      else if (pinnedBy && !event.target.closest("#reason, .liking")) clear();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      if (pinnedBy) unpin(); else clear();
      for (const open of all("details.filters[open]")) {
        const inside = open.contains(document.activeElement);
        open.open = false;
        if (inside) find("summary", open).focus();
      }
    });
    let frame = 0;
    const later = () => { if (shown && !frame) frame = requestAnimationFrame(() => { frame = 0; draw(); }); };
    addEventListener("scroll", later, { passive: true, capture: true });
    addEventListener("resize", later);
  }

  // ---------------------------------------------------------------- the same work on another wall
  const twins = (event) => {
    all(".twin").forEach((piece) => piece.classList.remove("twin"));
    const piece = event.target.closest && event.target.closest("[data-twin]");
    const same = piece ? all(`[data-twin="${CSS.escape(piece.dataset.twin)}"]`) : [];
    if (same.length > 1) same.forEach((one) => one.classList.add("twin"));
  };
  if (find("[data-twin]")) for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, twins);

  // ---------------------------------------------------------------- filters and slider
  document.addEventListener("pointerdown", (event) => {
    const open = find("details.filters[open]");
    if (open && !open.contains(event.target)) open.open = false;
  });
  const slider = find("#surprise");
  if (slider) {
    const said = () => {
      const words = ["familiar", "rather familiar", "between familiar and surprising", "rather surprising", "surprising"];
      slider.setAttribute("aria-valuetext", words[Math.round(slider.value / 25)]);
    };
    slider.addEventListener("input", said);
    said();
    // Back from a work's page where it was liked: the wall kept by the browser does not know of it.
    addEventListener("pageshow", (event) => { if (event.persisted) htmx.trigger("#ask", "submit"); });
  }

  // ---------------------------------------------------------------- a photograph of the visitor's own
  const input = find("#photograph");
  if (!input) return;
  const form = find("#ask");
  const side = 1024; // enough for any network; and what a telephone knows of place and time stays at home
  const reduce = async (file) => {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
    const canvas = element("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const made = await new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.9); });
    return new File([made], "photograph.jpg", { type: "image/jpeg" });
  };
  const take = async (file) => {
    const files = new DataTransfer();
    try {
      files.items.add(await reduce(file));
    } catch {
      input.value = "";
      tell("That is no picture that can be read.");
      return;
    }
    input.files = files.files;
    htmx.trigger(form, "submit");
    scrollTo({ top: 0, behavior: calm.matches ? "auto" : "smooth" });
  };
  input.addEventListener("change", (event) => {
    event.stopPropagation();
    if (input.files.length) take(input.files[0]);
  });
  document.addEventListener("htmx:configRequest", (event) => {
    const { detail } = event;
    if (detail.verb !== "get") return;
    if (input.files.length) Object.assign(detail, { verb: "post", useUrlParams: false });
    else delete detail.parameters.photograph;
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-drop-photograph]")) input.value = ""; // and the form is sent without it
  }, true);

  const drop = find("#drop");
  const pictureIn = (transfer) => [...(transfer ? transfer.files : [])].find((file) => file.type.startsWith("image/"));
  let depth = 0;
  const carries = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  addEventListener("dragenter", (event) => { if (carries(event)) { depth += 1; drop.hidden = false; } });
  addEventListener("dragleave", (event) => { if (carries(event) && !(depth -= 1)) drop.hidden = true; });
  addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth = 0;
    drop.hidden = true;
    const file = pictureIn(event.dataTransfer);
    if (file) take(file); else tell("That is no picture.");
  });
  addEventListener("paste", (event) => { const file = pictureIn(event.clipboardData); if (file) take(file); });
})();
