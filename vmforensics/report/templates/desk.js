/* The listening desk: raw and recovered sound on one transport, with a cursor over the pictures. */
"use strict";
(() => {
  const STEP = 0.1; // seconds that an arrow key moves
  const SPEEDS = [1, 0.75, 0.5, 0.25];

  function desk(listening) {
    const panel = listening.querySelector(".desk");
    const players = [...listening.querySelectorAll("audio")];
    if (!panel || players.length === 0) return;
    const article = listening.closest("article");
    const pictures = [...article.querySelectorAll(".trace svg")];
    const place = panel.querySelector("input[type=range]");
    const told = panel.querySelector("output");
    const unit = told.textContent.trim().split(" ").pop();
    const loop = panel.querySelector(".loop");
    const speed = panel.querySelector(".speed");
    const radios = [...panel.querySelectorAll("input[type=radio]")];
    let current = players[0];
    let section = null; // [start, stop] in seconds of the sound
    let frame = 0;

    const length = () => (Number.isFinite(current.duration) ? current.duration : span(pictures[0]) || 0);
    const span = (svg) => (svg ? svg.dataset.stop - svg.dataset.start : 0);

    function show() {
      const now = current.currentTime;
      place.max = length();
      place.value = now;
      place.setAttribute("aria-valuetext", now.toFixed(2) + " " + unit);
      told.textContent = now.toFixed(2) + " " + unit;
      panel.classList.toggle("playing", !current.paused);
      for (const svg of pictures) {
        const at = (t) => Number(svg.dataset.left) + (t / (span(svg) || 1)) * (svg.dataset.right - svg.dataset.left);
        const width = svg.viewBox.baseVal.width;
        const cursor = svg.querySelector(".mark-cursor");
        const x = Math.min(at(now), Number(svg.dataset.right)) * width;
        cursor.setAttribute("x1", x);
        cursor.setAttribute("x2", x);
        cursor.setAttribute("visibility", "visible");
        const band = svg.querySelector(".mark-section");
        band.setAttribute("visibility", section ? "visible" : "hidden");
        if (section) {
          band.setAttribute("x", at(section[0]) * width);
          band.setAttribute("width", Math.max(0, at(section[1]) - at(section[0])) * width);
        }
      }
    }

    function follow() {
      if (section && loop.checked && current.currentTime >= section[1]) current.currentTime = section[0];
      show();
      frame = current.paused ? 0 : requestAnimationFrame(follow);
    }

    function move(to) {
      current.currentTime = Math.max(0, Math.min(to, length()));
      show();
    }

    function toggle() {
      if (current.paused) {
        if (section && (current.currentTime < section[0] || current.currentTime >= section[1])) move(section[0]);
        current.play();
      } else current.pause();
    }

    function choose(kind) {
      const next = players.find((player) => player.dataset.kind === kind);
      if (!next || next === current) return;
      const going = !current.paused;
      const at = current.currentTime;
      current.pause();
      current = next;
      current.currentTime = at;
      for (const radio of radios) radio.checked = radio.value === kind;
      if (going) current.play();
      show();
    }

    function faster() {
      speed.value = String(SPEEDS[(SPEEDS.indexOf(Number(speed.value)) + 1) % SPEEDS.length]);
      speed.dispatchEvent(new Event("change"));
    }

    function edge(end) {
      const other = section ? section[1 - end] : end ? 0 : length();
      const both = end ? [other, current.currentTime] : [current.currentTime, other];
      section = both[1] > both[0] ? both : null;
      show();
    }

    const keys = {
      " ": toggle,
      ArrowLeft: () => move(current.currentTime - STEP),
      ArrowRight: () => move(current.currentTime + STEP),
      r: () => choose("raw"),
      p: () => choose("recovered"),
      l: () => { loop.checked = !loop.checked; loop.dispatchEvent(new Event("change")); },
      s: faster,
      "[": () => edge(0),
      "]": () => edge(1),
      Escape: () => { section = null; show(); },
    };

    panel.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const own = event.target.matches("select") || (event.target.matches("[type=radio]") && key.startsWith("Arrow"));
      const pressed = key === " " && event.target.matches("button, [type=checkbox], [type=radio]");
      if (!(key in keys) || own || pressed) return;
      event.preventDefault();
      keys[key]();
    });

    for (const player of players) {
      player.volume = Number(player.dataset.gain);
      player.preservesPitch = true;
      player.preload = "metadata";
      player.removeAttribute("controls");
      for (const name of ["play", "pause", "seeked", "loadedmetadata", "ended"]) {
        player.addEventListener(name, () => {
          if (player !== current) return;
          show();
          if (!player.paused && !frame) frame = requestAnimationFrame(follow);
        });
      }
    }
    for (const radio of radios) {
      radio.disabled = !players.some((player) => player.dataset.kind === radio.value);
      radio.checked = radio.value === current.dataset.kind;
      radio.addEventListener("change", () => choose(radio.value));
    }
    panel.querySelector(".play").addEventListener("click", toggle);
    panel.querySelector(".clear").addEventListener("click", keys.Escape);
    place.addEventListener("input", () => move(Number(place.value)));
    loop.addEventListener("change", () => { for (const player of players) player.loop = loop.checked; });
    speed.addEventListener("change", () => { for (const player of players) player.playbackRate = Number(speed.value); });

    for (const svg of pictures) {
      const time = (event) => {
        const box = svg.getBoundingClientRect();
        const share = (event.clientX - box.left) / box.width;
        return ((share - svg.dataset.left) / (svg.dataset.right - svg.dataset.left)) * span(svg);
      };
      let from = null;
      svg.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        from = time(event);
        move(from);
        if (event.pointerType === "mouse") event.preventDefault();
      });
      svg.addEventListener("pointermove", (event) => {
        if (from === null || event.pointerType !== "mouse") return;
        const to = time(event);
        if (Math.abs(to - from) < 0.02) return;
        section = [Math.max(0, Math.min(from, to)), Math.min(length(), Math.max(from, to))];
        show();
      });
      for (const name of ["pointerup", "pointerleave"]) svg.addEventListener(name, () => { from = null; });
      svg.classList.add("live");
    }
    panel.hidden = false;
    listening.classList.add("live");
    show();
  }

  for (const listening of document.querySelectorAll(".listening")) desk(listening);
  document.addEventListener("listening", (event) => desk(event.target)); // one that a page has added since
})();
