// The chosen theme, before anything is painted. Without a choice the system's counts.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch { /* no storage, no choice */ }
document.documentElement.classList.add("scripted");
