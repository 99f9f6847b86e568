/** The keyboard: what works on every screen, and the screen's own keys. No key acts in a field, in a dialog, or with Ctrl, Alt or Meta held. */

import { useEffect, useRef } from "preact/hooks";
import { readParam, tenantQuery } from "../data/page-url.ts";

/** By `KeyboardEvent.key`. */
export type KeyActs = Readonly<Record<string, () => void>>;

const SCREENS: Readonly<Record<string, string>> = {
  r: "requests",
  q: "queues",
  k: "keys",
  t: "settings",
  w: "welcome",
};
const GO_TO_MS = 1500;

/** Calls the act of a pressed key while the component is mounted. */
export function useKeys(acts: KeyActs): void {
  const current = useRef(acts);
  current.current = acts;
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (isElsewhere(event)) return;
      const act = current.current[event.key];
      if (act === undefined) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

/** `?` for the keys, `.` and a letter for a screen. `onHelp` stays the same function over renders. */
export function useScreenKeys(onHelp: () => void): void {
  const goUntil = useRef(0);
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && event.target instanceof HTMLElement && isField(event.target))
        event.target.blur();
      if (isElsewhere(event)) return;
      const screen = SCREENS[event.key];
      if (Date.now() < goUntil.current && screen !== undefined) {
        event.stopImmediatePropagation();
        location.assign(`/console/${screen}${tenantQuery(readParam("tenant"))}`);
      }
      goUntil.current = event.key === "." ? Date.now() + GO_TO_MS : 0;
      if (event.key === "?") onHelp();
    };
    // Before the screen's own keys, since the letter after `.` may be one of them.
    addEventListener("keydown", listen, { capture: true });
    return () => removeEventListener("keydown", listen, { capture: true });
  }, [onHelp]);
}

function isElsewhere(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]") !== null)
    return true;
  return event.target instanceof HTMLElement && isField(event.target);
}

function isField(element: HTMLElement): boolean {
  return element.matches("input, textarea, select");
}
