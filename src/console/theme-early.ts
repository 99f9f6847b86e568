/** Sets the kept theme before the first paint. A script of its own, since the content security policy allows none inside the page. */

try {
  const kept = localStorage.getItem("theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset["theme"] = kept;
} catch {
  // A private window may have no storage: the system's theme holds.
}
