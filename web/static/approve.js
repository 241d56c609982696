// A link of a mail has its token behind the #, where no server sees it: this asks for the page with it. It decides nothing.
(async () => {
  const token = location.hash.slice(1);
  if (!/^[\w-]{20,100}$/.test(token)) return;
  const state = document.getElementById("approval-state");
  try {
    const answer = await fetch(location.pathname, { headers: { "X-Pipe-Approval": token, Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    history.replaceState(null, "", location.pathname);
    document.title = page.title;
    document.getElementById("main").replaceChildren(...page.getElementById("main").childNodes);
  } catch {
    state.textContent = "The server cannot be reached now; load the page again.";
  }
})();
