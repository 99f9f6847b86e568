/** The time, counted on while something runs: twice a second, once where less motion is wished for. */

import { useEffect, useState } from "preact/hooks";

export function useNow(isRunning: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isRunning) return undefined;
    const stepMs = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 500;
    const timer = setInterval(() => setNow(Date.now()), stepMs);
    return () => clearInterval(timer);
  }, [isRunning]);
  return now;
}
