/* The review page: pictures, region, runs. Everything it shows comes from the server; texts come as texts. */
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const token = document.querySelector("meta[name=token]").content;
  const viewer = document.querySelector(".viewer");
  const overlay = $("overlay");
  const marks = [...overlay.querySelectorAll("rect")];
  const fields = ["x", "y", "width", "height"].map((name) => $("region-" + name));
  const job = document.querySelector(".job");
  const table = document.querySelector("table.comparison");
  const shown = new Map(); // the chosen runs, by key
  let region = null; // [x, y, width, height], or null for the whole picture
  let listed = "";

  const exhibit = () => $("exhibit").selectedOptions[0];
  const size = () => [Number(exhibit().dataset.width), Number(exhibit().dataset.height)];
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function show(number) {
    const count = Number(exhibit().dataset.frames);
    if (!count) {
      $("told").textContent = exhibit().dataset.problem;
      $("picture").removeAttribute("src");
      return;
    }
    number = clamp(number, 1, count);
    $("number").max = count;
    $("number").value = number;
    $("told").textContent = number + " / " + count;
    $("picture").src = "/frames/" + encodeURIComponent(exhibit().value) + "/" + (number - 1) + ".png";
  }

  // As large as the page has room for, small pictures too; never taller than most screens.
  function fit() {
    const [width, height] = size();
    if (width) $("picture").width = Math.round(width * Math.min(document.querySelector(".stage").clientWidth / width, 540 / height));
  }

  function mark() {
    const [width, height] = size();
    overlay.setAttribute("viewBox", "0 0 " + (width || 1) + " " + (height || 1));
    overlay.setAttribute("preserveAspectRatio", "none");
    for (const rect of marks) {
      rect.setAttribute("visibility", region ? "visible" : "hidden");
      if (region) ["x", "y", "width", "height"].forEach((name, k) => rect.setAttribute(name, region[k]));
    }
    fields.forEach((field, k) => { field.value = region ? region[k] : ""; });
  }

  function place(event) {
    const box = $("picture").getBoundingClientRect();
    const [width, height] = size();
    return [
      clamp(Math.round(((event.clientX - box.left) / box.width) * width), 0, width),
      clamp(Math.round(((event.clientY - box.top) / box.height) * height), 0, height),
    ];
  }

  let from = null;
  viewer.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = place(event);
    viewer.setPointerCapture(event.pointerId);
    viewer.focus({ preventScroll: true });
    event.preventDefault();
  });
  viewer.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = place(event);
    const wide = Math.abs(to[0] - from[0]);
    const tall = Math.abs(to[1] - from[1]);
    if (wide > 1 && tall > 1) {
      region = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), wide, tall];
      mark();
    }
  });
  for (const name of ["pointerup", "pointercancel"]) viewer.addEventListener(name, () => { from = null; });
  viewer.addEventListener("keydown", (event) => {
    const now = Number($("number").value);
    const step = event.shiftKey ? 10 : 1;
    const to = { ArrowLeft: now - step, ArrowRight: now + step, Home: 1, End: Number($("number").max) }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(to);
  });
  for (const field of fields) {
    field.addEventListener("change", () => {
      const values = fields.map((each) => Number(each.value));
      const complete = fields.every((each) => each.value !== "") && values[2] > 0 && values[3] > 0;
      if (complete) { region = values.map(Math.round); mark(); }
    });
  }
  $("whole").addEventListener("click", () => { region = null; mark(); });
  $("previous").addEventListener("click", () => show(Number($("number").value) - 1));
  $("next").addEventListener("click", () => show(Number($("number").value) + 1));
  $("number").addEventListener("input", () => show(Number($("number").value)));
  $("exhibit").addEventListener("change", () => { region = null; fit(); mark(); show(1); });
  addEventListener("resize", fit);

  async function act(path, wish) {
    const headers = { "Content-Type": "application/json", "X-Token": token };
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(wish) });
    const told = await answer.json();
    if (!answer.ok) tell("failed", told.error, told.hint);
    else await look();
  }
  const wish = () => ({ exhibit: $("exhibit").value, region });
  document.querySelector(".controls").addEventListener("submit", (event) => {
    event.preventDefault();
    act("/runs", { ...wish(), estimator: $("estimator").value || null });
  });
  $("assess").addEventListener("click", () => act("/assessments", wish()));
  $("stop").addEventListener("click", () => act("/stop", {}));

  function tell(state, what, said) {
    $("job-state").textContent = job.dataset[state] + (state === "idle" ? "" : " " + what);
    $("job-said").textContent = said;
  }

  function follow(told) {
    const running = told.state === "running";
    for (const id of ["go", "assess"]) $(id).disabled = running;
    $("stop").disabled = !running;
    $("job-progress").hidden = !running;
    if (told.total) { $("job-progress").max = told.total; $("job-progress").value = told.done; }
    else $("job-progress").removeAttribute("value");
    if (told.state === "failed") tell("failed", told.error, told.hint);
    else if (told.state === "finished") tell("finished", told.made, told.said.slice(-1)[0] || "");
    else if (running) tell("running", told.what + (told.total ? " " + told.done + " / " + told.total + " " + told.unit : ""), told.said.slice(-1)[0] || "");
  }

  function cell(row, content, element = "td") {
    const made = row.appendChild(document.createElement(element));
    if (content instanceof Node) made.append(content);
    else made.textContent = content;
    return made;
  }

  function list(runs) {
    const rows = $("run-rows");
    rows.replaceChildren();
    $("no-runs").hidden = runs.length > 0;
    for (const run of runs) {
      const row = rows.insertRow();
      const tick = document.createElement("input");
      tick.type = "checkbox";
      tick.checked = shown.has(run.key);
      tick.disabled = !run.verdict;
      tick.setAttribute("aria-label", table.dataset.open.replace("{name}", run.name));
      tick.addEventListener("change", () => choose(run.key, tick));
      cell(row, tick);
      cell(row, run.name, "th").scope = "row";
      cell(row, run.exhibit);
      cell(row, run.region ? [run.region.x, run.region.y, run.region.width, run.region.height].join(", ") : "");
      cell(row, run.estimator);
      cell(row, run.end);
      cell(row, run.answer).className = run.verdict;
      cell(row, run.p);
    }
  }

  async function choose(key, tick) {
    if (!tick.checked) {
      shown.get(key)?.remove();
      shown.delete(key);
      return;
    }
    tick.disabled = true;
    const answer = await fetch("/runs/" + key);
    tick.disabled = false;
    if (!answer.ok) {
      tick.checked = false;
      const told = await answer.json();
      tell("failed", told.error, told.hint);
      return;
    }
    const made = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("article");
    $("chosen").append(made);
    shown.set(key, made);
    made.querySelector(".listening")?.dispatchEvent(new CustomEvent("listening", { bubbles: true }));
  }

  function heat(names) {
    if (!names.length) return;
    const place = $("heat");
    place.replaceChildren();
    for (const name of names) {
      const figure = place.appendChild(document.createElement("figure"));
      figure.className = "paper";
      const picture = figure.appendChild(document.createElement("img"));
      picture.alt = place.dataset.alt.replace("{name}", name);
      picture.src = "/heat/" + name + ".png";
    }
  }

  async function look() {
    const answer = await fetch("/status");
    if (!answer.ok) return "idle";
    const told = await answer.json();
    follow(told.job);
    const now = JSON.stringify([told.runs, told.heat]);
    if (now !== listed) { listed = now; list(told.runs); heat(told.heat); }
    return told.job.state;
  }

  async function watch() {
    let state = "idle";
    try { state = await look(); } catch { state = "gone"; }
    setTimeout(watch, state === "running" ? 300 : 2000);
  }

  fit();
  mark();
  show(1);
  watch();
})();
