// Streams of a page: begun, taken up again, and given up as lost where nothing comes any more. Needs app.js, and comes before
// live.js, so that no answer to htmx is missed.
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

/* Nor do they notice a server that is gone without having closed: its power is out, or a cable. One that is there says so every 15 s
   (HEARTBEAT of web/src/pages/live.rs). */
const SILENT_MS = 40000, CONNECT_MS = 10000;
const [streams, lost] = [new Map(), new Set()];
const said = document.createElement("output");
said.className = "lost notice bad no-print";
$("#main").append(said);
function setLost(stream, is) {
  is ? lost.add(stream) : lost.delete(stream);
  put(said, lost.size ? "The connection to the server is lost, so this may be old. Trying again…" : "");
}
/** Something has to come of a stream within `limit`; else it is lost, and `again` asks for it. */
function expect(stream, again, limit) { streams.set(stream, { at: Date.now(), again, limit }); }
function hear(stream, again) {
  expect(stream, again, SILENT_MS);
  setLost(stream, false);
}
function forget(stream) {
  streams.delete(stream);
  setLost(stream, false);
}
setInterval(() => {
  const now = Date.now();
  for (const [stream, one] of [...streams]) {
    const isPart = stream instanceof Element;
    if (isPart && !stream.isConnected) forget(stream);
    // Parts of a page that nobody sees have no stream.
    else if (isPart && document.hidden) one.at = now;
    else if (now - one.at > one.limit) {
      streams.delete(stream);
      setLost(stream, true);
      one.again();
    }
  }
}, 1000);

/* Parts of pages, by hx-sse. */
const [tried, refused] = [new WeakMap(), new WeakSet()];
async function begin({ target, detail: { ctx } }) {
  const address = target.getAttribute?.("hx-sse:connect");
  if (!address || !ctx || target._htmx?.sse || !mayCome(ctx.response?.status)) return;
  setLost(target, true);
  const tries = tried.get(target) ?? 0;
  tried.set(target, tries + 1);
  await pause(tries);
  if (target.isConnected) htmx.ajax("GET", address, { source: target, timeout: htmx.config.sse.connectTimeout });
}
// Its reader is another one after each connection. Without one hx-sse is about to connect, for which it has a limit of its own.
const comes = ({ target, detail: { connection } }) => hear(target, () => connection.reader?.cancel());
document.addEventListener("htmx:error", begin);
document.addEventListener("htmx:response:error", begin);
document.addEventListener("htmx:sse:error", ({ target, detail: { status } }) => {
  const isRefused = !mayCome(status);
  if (isRefused) refused.add(target);
  setLost(target, !isRefused);
});
document.addEventListener("htmx:sse:before:connection", (event) => {
  streams.delete(event.target);
  if (refused.has(event.target)) event.preventDefault();
});
document.addEventListener("htmx:sse:after:connection", comes);
document.addEventListener("htmx:sse:before:message", comes);
document.addEventListener("htmx:sse:close", ({ target }) => forget(target));

/** A stream with named events, of which `on` says what to do with each; after `end` nothing comes. One that breaks off goes on behind
 *  the last event that had an id. */
function listen(on, address, tries = 0) {
  const source = new EventSource(address);
  let last;
  const again = (tries = 0) => {
    source.close();
    const from = new URL(address, location);
    if (last) from.searchParams.set("after", last);
    listen(on, from, tries);
  };
  expect(on, again, CONNECT_MS);
  source.addEventListener("open", () => {
    tries = 0;
    hear(on, again);
  });
  source.addEventListener("error", async () => {
    setLost(on, true);
    if (source.readyState !== EventSource.CLOSED) return expect(on, again, CONNECT_MS);
    streams.delete(on);
    await pause(tries);
    // It was refused, and the browser does not say why.
    const asked = new AbortController();
    setTimeout(() => asked.abort(), CONNECT_MS);
    const answer = await fetch(address, { headers: { accept: "text/event-stream" }, signal: asked.signal }).catch(() => null);
    asked.abort();
    mayCome(answer?.status) ? again(tries + 1) : forget(on);
  });
  for (const name of ["alive", ...Object.keys(on)]) {
    source.addEventListener(name, (event) => {
      hear(on, again);
      last = event.lastEventId || last;
      on[name]?.(event);
    });
  }
  source.addEventListener("end", () => {
    source.close();
    forget(on);
  });
}
