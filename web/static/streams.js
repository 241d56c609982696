// Streams of a page: begun, and taken up again. Needs app.js, and comes before live.js, so that no answer to htmx is missed.
"use strict";

/* hx-sse and EventSource take up again what breaks off, but not what could not begin: there a server that starts, or a proxy before
   it, has refused, or the network was just another. */
const AGAIN_MS = 500, AGAIN_MS_MAX = 5000;
const pause = (tries) => new Promise((done) => setTimeout(done, Math.min(AGAIN_MS * 2 ** tries, AGAIN_MS_MAX)));
// Whether another try may get another answer; `status` is nothing where there was none. Who is signed out meanwhile signs in.
function mayCome(status) {
  if (status === 401) location.reload();
  return !(status >= 400 && status < 500) || status === 429;
}

/* Parts of pages, by hx-sse. */
const [tried, refused] = [new WeakMap(), new WeakSet()];
async function begin({ target, detail: { ctx } }) {
  const address = target.getAttribute?.("hx-sse:connect");
  if (!address || !ctx || target._htmx?.sse || !mayCome(ctx.response?.status)) return;
  const tries = tried.get(target) ?? 0;
  tried.set(target, tries + 1);
  await pause(tries);
  if (target.isConnected) htmx.ajax("GET", address, { source: target, timeout: htmx.config.sse.connectTimeout });
}
document.addEventListener("htmx:error", begin);
document.addEventListener("htmx:response:error", begin);
document.addEventListener("htmx:sse:error", ({ target, detail: { status } }) => { if (!mayCome(status)) refused.add(target); });
document.addEventListener("htmx:sse:before:connection", (event) => { if (refused.has(event.target)) event.preventDefault(); });

/** A stream with named events, of which `on` says what to do with each; after `end` nothing comes. One that breaks off goes on behind
 *  the last event that had an id. */
function listen(on, address, tries = 0) {
  const source = new EventSource(address);
  let last;
  source.addEventListener("open", () => { tries = 0; });
  source.addEventListener("error", async () => {
    if (source.readyState !== EventSource.CLOSED) return;
    await pause(tries);
    // It was refused, and the browser does not say why.
    const asked = new AbortController();
    const answer = await fetch(address, { headers: { accept: "text/event-stream" }, signal: asked.signal }).catch(() => null);
    asked.abort();
    if (!mayCome(answer?.status)) return;
    const from = new URL(address, location);
    if (last) from.searchParams.set("after", last);
    listen(on, from, tries + 1);
  });
  for (const [name, act] of Object.entries(on)) {
    source.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      act(event);
    });
  }
  source.addEventListener("end", () => source.close());
}
