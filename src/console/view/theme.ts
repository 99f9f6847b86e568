/** Light, dark or the system's: kept in this browser. theme-early.ts sets it before the first paint. */

export type Theme = "System" | "Light" | "Dark";

const NEXT: Readonly<Record<Theme, Theme>> = { System: "Dark", Dark: "Light", Light: "System" };

/** Sets the theme after `theme`, keeps it, and returns it. */
export function setNextTheme(theme: Theme): Theme {
  const next = NEXT[theme];
  const name = next.toLowerCase();
  if (next === "System") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = name;
  try {
    if (next === "System") localStorage.removeItem("theme");
    else localStorage.setItem("theme", name);
  } catch {
    // A private window may have no storage: the choice holds for this page.
  }
  return next;
}

export function readTheme(): Theme {
  const name = document.documentElement.dataset["theme"];
  return name === "light" ? "Light" : name === "dark" ? "Dark" : "System";
}
