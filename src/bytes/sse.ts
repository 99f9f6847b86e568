/**
 * Server-sent events, the only parser and writer of them: bytes to events and events to text. What events mean is the
 * wires'. https://html.spec.whatwg.org/multipage/server-sent-events.html (seen 2026-11)
 */

export interface ServerSentEvent {
  /** The `event:` field; `message` when the stream named none. */
  readonly event: string;
  /** All `data:` lines, joined by a line feed. */
  readonly data: string;
}

/** Bytes to events, for server-sent events and for other framings. */
export interface EventParser {
  /** Takes the next bytes, split anywhere, and gives the events they complete. */
  push(bytes: Uint8Array): readonly ServerSentEvent[];
  /** Whether bytes of an unfinished event are held: at the end of a stream this means that it was cut. */
  isMidEvent(): boolean;
}

/** A parser for one stream. An event still open when the stream ends is never given out, as the standard says. */
export function createSseParser(): EventParser {
  const decoder = new TextDecoder();
  let rest = "";
  /** The bytes so far ended in a CR: an LF that follows belongs to it. */
  let isAfterCr = false;
  let event = "";
  let data: string | undefined;

  function takeLine(line: string, out: ServerSentEvent[]): void {
    if (line === "") {
      if (data !== undefined) out.push({ event: event || "message", data });
      event = "";
      data = undefined;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    if (field !== "data" && field !== "event") return;
    const start = colon < 0 ? line.length : line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1;
    const value = line.slice(start);
    if (field === "event") event = value;
    else data = data === undefined ? value : `${data}\n${value}`;
  }

  return {
    push(bytes) {
      const out: ServerSentEvent[] = [];
      const text = rest + decoder.decode(bytes, { stream: true });
      if (text === "") return out;
      let from = isAfterCr && text.startsWith("\n") ? 1 : 0;
      // Each is searched again only once it is passed: looking for a CR that never comes, line by line, is quadratic.
      let lf = text.indexOf("\n", from);
      let cr = text.indexOf("\r", from);
      for (;;) {
        if (lf >= 0 && lf < from) lf = text.indexOf("\n", from);
        if (cr >= 0 && cr < from) cr = text.indexOf("\r", from);
        const end = firstOf(lf, cr);
        if (end < 0) break;
        takeLine(text.slice(from, end), out);
        from = end === cr && lf === end + 1 ? end + 2 : end + 1;
      }
      isAfterCr = text.endsWith("\r");
      rest = text.slice(from);
      return out;
    },
    isMidEvent() {
      return rest.trim() !== "" || data !== undefined;
    },
  };
}

/** The lower of two positions, where -1 means that there is none. */
function firstOf(left: number, right: number): number {
  if (left < 0) return right;
  return right < 0 ? left : Math.min(left, right);
}

/** One event as the wire has it. `data` must hold no line break (JSON never does). */
export function formatEvent(data: string, event?: string): string {
  return event === undefined ? `data: ${data}\n\n` : `event: ${event}\ndata: ${data}\n\n`;
}
