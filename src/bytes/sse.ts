/**
 * Server-sent events, the only parser and writer of them: bytes to events and events to text. What events mean is the
 * wires'. https://html.spec.whatwg.org/multipage/server-sent-events.html (seen 2026-11)
 */

import { GatewayError } from "../errors.ts";

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
  /** The stream has ended: gives an event whose end mark is missing, which some servers leave out behind their last one. */
  end(): readonly ServerSentEvent[];
  /** Whether bytes of an unfinished event are held, or were at the end. */
  isMidEvent(): boolean;
}

/** Held of one event: image models send events of several MB, and an isolate has 128 MB for all its streams. */
export const MAX_EVENT_BYTES = 8 * 1024 * 1024;

/**
 * A parser for one stream. Throws `upstream_malformed` for an event above MAX_EVENT_BYTES, once the events before it have
 * been returned.
 */
export function createSseParser(): EventParser {
  const decoder = new TextDecoder();
  /** The unfinished line. Only ever appended to, so that a long line costs no more than its length. */
  let rest = "";
  /** The bytes so far ended in a CR: an LF that follows belongs to it. */
  let isAfterCr = false;
  let event = "";
  let data: string | undefined;
  let fault: GatewayError | undefined;
  let isCut = false;

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

  const isMidEvent = (): boolean => data !== undefined || rest.trim() !== "";

  return {
    push(bytes) {
      if (fault !== undefined) throw fault;
      const out: ServerSentEvent[] = [];
      const text = decoder.decode(bytes, { stream: true });
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
        takeLine(rest + text.slice(from, end), out);
        rest = "";
        from = end === cr && lf === end + 1 ? end + 2 : end + 1;
      }
      isAfterCr = text.endsWith("\r");
      rest += text.slice(from);
      if (rest.length + (data?.length ?? 0) > MAX_EVENT_BYTES) {
        fault = new GatewayError("upstream_malformed", "The upstream sent an event of more than 8 MB.");
        [rest, data, isCut] = ["", undefined, true];
        if (out.length === 0) throw fault;
      }
      return out;
    },
    end() {
      const out: ServerSentEvent[] = [];
      isCut = isMidEvent();
      if (rest !== "") takeLine(rest, out);
      takeLine("", out);
      rest = "";
      return out;
    },
    isMidEvent: () => isCut || isMidEvent(),
  };
}

/** The events of a text that is there as a whole. */
export function parseEvents(text: string): readonly ServerSentEvent[] {
  const parser = createSseParser();
  return [...parser.push(new TextEncoder().encode(text)), ...parser.end()];
}

/** The lower of two positions, where -1 means that there is none. */
function firstOf(left: number, right: number): number {
  if (left < 0) return right;
  return right < 0 ? left : Math.min(left, right);
}

/** One event as the wire has it, with a `data:` for each line of `data`. */
export function formatEvent(data: string, event?: string): string {
  const lines = /[\r\n]/.test(data) ? data.replaceAll(/\r\n|\r|\n/g, "\ndata: ") : data;
  return event === undefined ? `data: ${lines}\n\n` : `event: ${event}\ndata: ${lines}\n\n`;
}
