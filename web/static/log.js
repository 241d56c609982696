// The log of a job: shown as it comes, searched, pointed at. Needs app.js and streams.js.
"use strict";
const page = $("#job-log");
const log = {
  following: false,
  hits: [], at: -1, total: 0, asked: "",

  step(id) { return document.getElementById(id); },

  // What was asked for by an address: `#s2-L12` or `#s2-L12-L20`.
  async point() {
    const found = /^#(s\d*)-L(\d+)(?:-L(\d+))?$/.exec(location.hash);
    for (const line of $$(".chosen", page)) line.classList.remove("chosen");
    if (!found) return;
    const [from, to] = [Number(found[2]), Number(found[3] || found[2])].sort((a, b) => a - b);
    const first = await this.line(found[1], from);
    for (let number = from; number <= Math.min(to, from + 5000); number++) document.getElementById(`${found[1]}-L${number}`)?.classList.add("chosen");
    first?.scrollIntoView({ block: "center" });
  },

  // A line, fetched with those around it where it is not there.
  async line(step, number) {
    const details = this.step(step);
    if (!details) return null;
    details.open = true;
    const id = `${step}-L${number}`;
    for (let tries = 0; tries < 3 && !document.getElementById(id); tries++) {
      const gaps = $$(".gap", details);
      const gap = gaps.find((one) => Number(one.dataset.from) <= number && number <= Number(one.dataset.to)) || gaps.find((one) => !one.dataset.from);
      if (!gap) break;
      await this.fill(gap, number);
    }
    const line = document.getElementById(id);
    const group = line?.closest("details.group");
    if (group) group.open = true;
    return line;
  },

  // Lines in the place of a gap: from its beginning on, or around a number.
  fill(gap, number) { return gap.filled ??= this.bring(gap, number).finally(() => { gap.filled = null; gap.removeAttribute("aria-busy"); }); },
  async bring(gap, number) {
    const { step, from, to } = gap.dataset;
    const query = new URLSearchParams({ step });
    let [begin, end, last] = [Number(from), Number(to), Number(to)];
    if (from) {
      if (number) begin = Math.max(begin, number - 500);
      end = Math.min(last, begin + (number ? 1000 : 5000) - 1);
      query.set("from", begin);
      query.set("to", end);
    }
    gap.setAttribute("aria-busy", "true");
    const answer = await fetch(`${page.dataset.job}/lines?${query}`);
    if (!answer.ok) return;
    const parts = document.createElement("template");
    parts.innerHTML = await answer.text();
    const rest = parts.content;
    // Those around the part are made anew below; one in a whole log stands for what it lacks.
    if (from) for (const one of $$(".gap", rest)) one.remove();
    const more = (first, to) => {
      if (first > to) return "";
      const link = gap.cloneNode(false);
      link.removeAttribute("aria-busy");
      Object.assign(link.dataset, { from: first, to });
      link.href = `?step=${step}&from=${first}#${step}`;
      link.textContent = `${to - first + 1} lines are not shown: show from line ${first} on`;
      return link;
    };
    for (const line of $$("[data-t]", rest)) line.removeAttribute("data-t");
    if (from) {
      const numbers = $$("[id*='-L']", rest).map((one) => Number(one.id.split("-L")[1]));
      const behind = numbers.length ? Math.max(...numbers.slice(-300)) + 1 : end + 1;
      gap.before(...[more(Number(from), begin - 1)].filter(Boolean), rest, ...[more(behind, last)].filter(Boolean));
    } else {
      gap.before(rest);
    }
    const details = gap.closest(".step");
    gap.remove();
    this.stamp(details);
    this.watch();
  },

  // What is scrolled to comes by itself, from the side it is scrolled to.
  watch() {
    this.near ??= new IntersectionObserver((seen) => {
      for (const { isIntersecting, target, boundingClientRect } of seen) {
        if (!isIntersecting) continue;
        this.near.unobserve(target);
        this.fill(target, boundingClientRect.top < innerHeight / 2 ? Number(target.dataset.to) : 0);
      }
    }, { rootMargin: "600px" });
    for (const gap of $$(".gap[data-from]", page)) this.near.observe(gap);
  },

  // The browser's own search finds what is in the page: everything, then.
  async all() {
    const count = $(".count", page);
    for (let gap = $(".step[open] .gap", page); gap; gap = $(".step[open] .gap", page)) {
      this.total || put(count, "fetching all lines…");
      await this.fill(gap);
      if (gap.isConnected) break;
      await new Promise(requestAnimationFrame);
    }
    this.total || put(count, "");
  },

  // Live: pieces of the log as they come.
  live(address) {
    listen({
      head: (event) => {
        const old = $("#job-head");
        old.insertAdjacentHTML("afterend", JSON.parse(event.data).h);
        old.remove();
        tick();
      },
      step: (event) => {
        const { s, w, h } = JSON.parse(event.data);
        let details = this.step(s);
        if (!details) {
          details = $("#step-shape").content.firstElementChild.cloneNode(true);
          details.id = s;
          $(".step-tools a", details).href = `${page.dataset.job}/raw?step=${s.slice(1) || "setup"}&download=1`;
          $("#steps").append(details);
          $(".empty-log")?.remove();
        }
        details.className = `step w-${w}`;
        $("summary", details).innerHTML = h;
        $(".log", details).setAttribute("aria-label", `Log of ${$(".name", details).textContent}`);
        if (w === "in_progress" || w === "failure") details.open = true;
        else if (w === "success" && !this.touched?.has(s)) details.open = false;
        tick();
        this.end();
      },
      lines: (event) => {
        const { s, n, p, t } = JSON.parse(event.data);
        const details = this.step(s);
        if (!details) return;
        const place = $(".log", details);
        for (const [kind, html, failed] of p) {
          let group = place.lastElementChild?.matches("details.group") ? place.lastElementChild : null;
          if (kind === 2) {
            if (group && !group.dataset.failed) group.open = false;
            group = document.createElement("details");
            group.className = "group";
            group.open = true;
            group.innerHTML = `<summary>${html}</summary>`;
            place.append(group);
          } else if (kind === 1 && group) {
            group.insertAdjacentHTML("beforeend", html);
            if (failed) group.dataset.failed = "1";
          } else {
            if (group && !group.dataset.failed) group.open = false;
            place.insertAdjacentHTML("beforeend", html);
          }
        }
        details.dataset.lines = n;
        put($(".lines", details), `${n} lines`);
        const marks = this.marks.get(s);
        if (marks) marks.push(...t.filter(([line]) => line > (marks.at(-1)?.[0] ?? 0)));
        this.stamp(details);
        this.end();
      },
      end: () => this.setFollow(false),
    }, address);
  },

  // When lines came, told by the style sheet: it is no part of what is copied or searched.
  marks: new Map(),
  async stamp(details) {
    if (!this.timed || !details.open) return;
    if (!this.marks.has(details.id)) {
      this.marks.set(details.id, []);
      const answer = await fetch(`${page.dataset.job}/times?step=${details.id}`);
      if (answer.ok) this.marks.set(details.id, await answer.json());
    }
    const marks = this.marks.get(details.id);
    let [at, text] = [0, ""];
    for (const line of $$(`[id^='${details.id}-L']:not([data-t])`, details)) {
      const number = Number(line.id.slice(details.id.length + 2));
      for (; at < marks.length && marks[at][0] <= number; at++) text = new Date(marks[at][1]).toLocaleTimeString("en-GB");
      if (text) line.dataset.t = text;
    }
  },
  setTimes(on) {
    this.timed = on;
    page.classList.toggle("timed", on);
    $("[data-do=times]", page).setAttribute("aria-pressed", on);
    for (const details of $$(".step[open]", page)) this.stamp(details);
  },

  end() {
    if (!this.following || this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      scrollTo({ top: document.documentElement.scrollHeight });
    });
  },
  setFollow(on) {
    this.following = on;
    $("[data-do=follow]", page)?.setAttribute("aria-pressed", on);
    this.end();
  },

  // Search: the server counts, so that what is not in the page counts too.
  async find(text, step = 1) {
    const count = $(".count", page);
    if (text !== this.asked) {
      this.asked = text;
      [this.hits, this.at, this.total] = [[], -1, 0];
      globalThis.CSS?.highlights?.clear();
      $(".now", page)?.classList.remove("now");
      if (!text) { count.textContent = ""; return; }
      count.textContent = "…";
      const answer = await fetch(`${page.dataset.job}/search?q=${encodeURIComponent(text)}`);
      if (text !== this.asked) return;
      if (!answer.ok) { count.textContent = "cannot search"; return; }
      const found = await answer.json();
      [this.hits, this.total] = [found.hits, found.is_cut ? `${found.total}+` : found.total];
    }
    if (!this.hits.length) { count.textContent = text ? "nothing" : ""; return; }
    this.at = (this.at + step + this.hits.length) % this.hits.length;
    count.textContent = `${this.at + 1} of ${this.total}`;
    const [id, number] = this.hits[this.at];
    this.setFollow(false);
    const line = await this.line(id, number);
    $(".now", page)?.classList.remove("now");
    if (!line) return;
    line.classList.add("now");
    line.scrollIntoView({ block: "center" });
    this.mark(line, text.toLowerCase());
  },
  mark(line, text) {
    if (!globalThis.CSS?.highlights) return;
    const ranges = [];
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const low = node.data.toLowerCase();
      for (let at = low.indexOf(text); at >= 0 && low.length === node.data.length; at = low.indexOf(text, at + text.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + text.length);
        ranges.push(range);
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
  },

  // Errors of all steps in their order, also of those lines that are not in the page.
  async error(step = 1) {
    const all = $$(".step", page).flatMap((step) => {
      const known = (step.dataset.errors || "").split(",").filter(Boolean).map(Number);
      const seen = $$(".e", step).map((line) => Number(line.id.split("-L")[1]));
      return [...new Set([...known, ...seen])].sort((a, b) => a - b).map((number) => [step.id, number]);
    });
    if (!all.length) return;
    this.wrong = ((this.wrong ?? (step > 0 ? -1 : 0)) + step + all.length) % all.length;
    const line = await this.line(...all[this.wrong]);
    line?.scrollIntoView({ block: "center" });
    for (const one of $$(".chosen", page)) one.classList.remove("chosen");
    line?.classList.add("chosen");
  },

  async copy(button) {
    const step = button.closest(".step");
    const link = $("a[href*='/raw']", step);
    const answer = await fetch(link.href);
    await navigator.clipboard.writeText(await answer.text());
    const label = button.lastChild;
    const before = label.data;
    label.data = "Copied";
    setTimeout(() => { label.data = before; }, 1500);
  },
};

page.addEventListener("click", (event) => {
  const gap = event.target.closest(".gap");
  if (gap) {
    event.preventDefault();
    log.fill(gap);
    return;
  }
  const number = event.target.closest(".chunk > div > a:first-child");
  if (number) {
    event.preventDefault();
    const before = /^#(s\d*)-L(\d+)/.exec(location.hash);
    const hash = number.hash;
    const now = /^#(s\d*)-L(\d+)/.exec(hash);
    const isRange = event.shiftKey && before && before[1] === now[1];
    history.replaceState(null, "", isRange ? `#${now[1]}-L${Math.min(before[2], now[2])}-L${Math.max(before[2], now[2])}` : hash);
    for (const line of $$(".chosen", page)) line.classList.remove("chosen");
    const [from, to] = isRange ? [Math.min(before[2], now[2]), Math.max(before[2], now[2])] : [Number(now[2]), Number(now[2])];
    for (let line = from; line <= to; line++) document.getElementById(`${now[1]}-L${line}`)?.classList.add("chosen");
  }
  const summary = event.target.closest(".step > summary");
  if (summary) (log.touched ??= new Set()).add(summary.parentElement.id);
});
page.addEventListener("toggle", (event) => {
  if (!event.target.open || !event.target.matches(".step")) return;
  const whole = $(".gap.whole", event.target);
  if (whole) log.fill(whole);
  else log.stamp(event.target);
}, true);
$(".find", page).addEventListener("submit", (event) => {
  event.preventDefault();
  log.find($("#find").value.trim());
});
$("#find").addEventListener("keydown", (event) => {
  if (event.key === "Enter") { event.preventDefault(); log.find($("#find").value.trim(), event.shiftKey ? -1 : 1); }
});
addEventListener("wheel", (event) => { if (event.deltaY < 0 && log.following) log.setFollow(false); }, { passive: true });
addEventListener("hashchange", () => log.point());
if (page.dataset.live) {
  log.live(page.dataset.live);
  if (!location.hash) log.setFollow(true);
} else if (!location.hash && !location.search) {
  // The first error is why somebody comes here.
  const first = $(".w-failure[data-errors]:not([data-errors=''])", page);
  if (first) log.line(first.id, Number(first.dataset.errors.split(",")[0])).then((line) => line?.scrollIntoView({ block: "center" }));
}
for (const line of $$("[data-t]", page)) line.removeAttribute("data-t");
if (page.classList.contains("timed") || kept("times")) log.setTimes(true);
if (location.hash) log.point();
log.watch();
if ($("#find").value) log.find($("#find").value.trim());

/* Buttons and keys. */
Object.assign(deeds, {
  follow: () => log.setFollow(!log.following),
  error: () => log.error(),
  "error-before": () => log.error(-1),
  times() {
    log.setTimes(!log.timed);
    keep("times", log.timed ? "1" : "");
  },
  wrap(button) {
    const off = page.classList.toggle("nowrap-log");
    button.setAttribute("aria-pressed", !off);
  },
  copy: (button) => log.copy(button),
});
Object.assign(keys, {
  e: () => log.error(),
  E: () => log.error(-1),
  t: () => deeds.times(),
  f: () => log.setFollow(!log.following),
  n: () => log.asked && log.find(log.asked, 1),
  N: () => log.asked && log.find(log.asked, -1),
});
document.addEventListener("keydown", (event) => { if (event.key === "f" && (event.ctrlKey || event.metaKey)) log.all(); });
