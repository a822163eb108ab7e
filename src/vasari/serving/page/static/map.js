// The map of the collection: a canvas that shows as many pictures as fit without covering one another.
(() => {
  "use strict";
  const map = document.querySelector(".map");
  if (!map) return;
  const canvas = map.querySelector("canvas");
  const said = map.querySelector(".map-said");
  const pen = canvas.getContext("2d");
  const pictures = new Map();
  const view = { x: 0.5, y: 0.5, scale: 1 }; // the middle of what is seen, and how far it is enlarged
  let points = [], drawn = [], frame = 0, moved = 0;

  const size = () => ({ width: map.clientWidth, height: map.clientHeight });
  const unit = () => Math.min(size().width, size().height) * 0.94 * view.scale;
  const stretch = () => Math.max(1, size().width / size().height) ** 0.75; // wide maps use their width
  const place = (point) => {
    const { width, height } = size();
    return [width / 2 + (point.x - view.x) * unit() * stretch(), height / 2 + (point.y - view.y) * unit()];
  };

  // A few at a time: the gallery answers visitors meanwhile.
  const waiting = [];
  let loading = 0;
  const load = () => {
    while (loading < 4 && waiting.length) {
      const made = waiting.pop(); // what was asked for last is in sight
      const done = () => { loading -= 1; load(); later(); };
      made.onload = done;
      made.onerror = done;
      loading += 1;
      made.src = made.dataset.src;
    }
  };
  const picture = (point) => {
    if (!point.src) return null;
    let known = pictures.get(point.src);
    if (!known) {
      known = new Image();
      known.dataset.src = point.src;
      pictures.set(point.src, known);
      waiting.push(known);
      load();
    }
    return known.complete && known.naturalWidth ? known : null;
  };

  // Rectangles are looked up by the cells of a grid that their middles lie in: none is larger than a cell.
  const free = (grid, cell, x, y, w, h) => {
    const column = Math.floor(x / cell), row = Math.floor(y / cell);
    for (let i = column - 1; i <= column + 1; i += 1) {
      for (let j = row - 1; j <= row + 1; j += 1) {
        for (const one of grid.get(`${i} ${j}`) || []) {
          if (Math.abs(one.x - x) * 2 < one.w + w + 4 && Math.abs(one.y - y) * 2 < one.h + h + 4) return false;
        }
      }
    }
    return true;
  };

  const draw = () => {
    frame = 0;
    const { width, height } = size();
    const sharp = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(height * sharp)) {
      canvas.width = Math.round(width * sharp);
      canvas.height = Math.round(height * sharp);
    }
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(map);
    const cell = Math.min(150, 44 * view.scale ** 0.45);
    const grid = new Map();
    drawn = [];
    const dots = [];
    for (const point of points) {
      const [x, y] = place(point);
      if (x < -cell || y < -cell || x > width + cell || y > height + cell) continue;
      const side = cell - 4;
      const w = point.ratio > 1 ? side : side * point.ratio, h = point.ratio > 1 ? side / point.ratio : side;
      if (!free(grid, cell, x, y, w, h)) { dots.push([x, y]); continue; }
      const one = { point, x, y, w, h }, spot = `${Math.floor(x / cell)} ${Math.floor(y / cell)}`;
      drawn.push(one);
      if (grid.has(spot)) grid.get(spot).push(one); else grid.set(spot, [one]);
    }
    // Colours as properties: a canvas cannot read what light-dark() means.
    pen.fillStyle = style.color;
    for (const [x, y] of dots) { pen.beginPath(); pen.arc(x, y, 2, 0, 7); pen.fill(); }
    for (const { point, x, y, w, h } of drawn) {
      const made = picture(point);
      pen.fillStyle = style.borderTopColor;
      pen.fillRect(x - w / 2, y - h / 2, w, h);
      if (made) pen.drawImage(made, x - w / 2, y - h / 2, w, h);
    }
    const middle = document.activeElement === map ? nearest(width / 2, height / 2, Infinity) : null;
    if (middle) {
      pen.strokeStyle = style.outlineColor;
      pen.lineWidth = 3;
      pen.strokeRect(middle.x - middle.w / 2 - 3, middle.y - middle.h / 2 - 3, middle.w + 6, middle.h + 6);
      said.textContent = middle.point.label;
    }
  };
  const later = () => { if (!frame) frame = requestAnimationFrame(draw); };

  const nearest = (x, y, within) => {
    let best = null, least = within;
    for (const one of drawn) {
      const far = Math.hypot(one.x - x, one.y - y);
      if (far < least) { best = one; least = far; }
    }
    return best;
  };
  const hold = () => {
    view.x = Math.min(1, Math.max(0, view.x));
    view.y = Math.min(1, Math.max(0, view.y));
    map.classList.toggle("near", view.scale > 1); // the whole map lets fingers scroll the page
    later();
  };
  const pan = (dx, dy) => { view.x -= dx / (unit() * stretch()); view.y -= dy / unit(); hold(); };
  const zoom = (factor, x = size().width / 2, y = size().height / 2) => {
    const { width, height } = size();
    const old = view.scale;
    view.scale = factor ? Math.min(40, Math.max(1, old * factor)) : 1;
    const kept = 1 / old - 1 / view.scale; // what lies under the pointer stays there
    const whole = unit() / view.scale;
    view.x = factor ? view.x + ((x - width / 2) / (whole * stretch())) * kept : 0.5;
    view.y = factor ? view.y + ((y - height / 2) / whole) * kept : 0.5;
    hold();
  };

  map.addEventListener("wheel", (event) => {
    // Whoever scrolls past, over a map that comes under a mouse at rest, goes on scrolling.
    if (!pointed || (view.scale === 1 && event.deltaY > 0)) return;
    event.preventDefault();
    const { left, top } = map.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 400), event.clientX - left, event.clientY - top);
  }, { passive: false });

  let pointed = false;
  map.addEventListener("pointermove", () => { pointed = true; });
  map.addEventListener("pointerleave", () => { pointed = false; });

  const held = new Map();
  map.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    held.set(event.pointerId, [event.clientX, event.clientY]);
    map.setPointerCapture(event.pointerId);
    moved = 0;
  });
  map.addEventListener("pointermove", (event) => {
    const { left, top } = map.getBoundingClientRect();
    const x = event.clientX - left, y = event.clientY - top;
    if (!held.has(event.pointerId)) {
      const near = nearest(x, y, 60);
      said.textContent = near ? near.point.label : "";
      return;
    }
    const [fromX, fromY] = held.get(event.pointerId);
    const dx = event.clientX - fromX, dy = event.clientY - fromY;
    moved += Math.hypot(dx, dy);
    if (held.size === 2) {
      const other = [...held].find(([id]) => id !== event.pointerId)[1];
      const before = Math.hypot(fromX - other[0], fromY - other[1]);
      const after = Math.hypot(event.clientX - other[0], event.clientY - other[1]);
      if (before > 0) zoom(after / before, (event.clientX + other[0]) / 2 - left, (event.clientY + other[1]) / 2 - top);
    } else pan(dx, dy);
    held.set(event.pointerId, [event.clientX, event.clientY]);
  });
  const letGo = (event) => {
    const was = held.delete(event.pointerId);
    if (!was || moved > 6 || event.type !== "pointerup") return;
    const { left, top } = map.getBoundingClientRect();
    const near = nearest(event.clientX - left, event.clientY - top, 60);
    if (near) location.assign(near.point.href);
  };
  map.addEventListener("pointerup", letGo);
  map.addEventListener("pointercancel", letGo);

  map.addEventListener("keydown", (event) => {
    if (event.target !== map) return;
    const step = { ArrowLeft: [70, 0], ArrowRight: [-70, 0], ArrowUp: [0, 70], ArrowDown: [0, -70] }[event.key];
    const factor = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 0: 0 }[event.key];
    if (step) pan(...step);
    else if (factor !== undefined) zoom(factor);
    else if (event.key === "Enter") {
      const near = nearest(size().width / 2, size().height / 2, Infinity);
      if (near) location.assign(near.point.href);
    } else return;
    event.preventDefault();
  });
  map.addEventListener("focus", later);
  map.addEventListener("blur", later);
  map.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => zoom(Number(button.dataset.zoom))));
  new ResizeObserver(later).observe(map);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);
  document.querySelector(".toggle").addEventListener("click", later);
  fetch(map.dataset.points).then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status))))).then(
    (found) => { points = found; later(); },
    () => { said.textContent = "The map could not be loaded."; },
  );
})();
