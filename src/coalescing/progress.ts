/**
 * A leader's progress, written and read: one line of JSON, the body's bytes, one end mark. The two sides of protocol.ts's
 * framing; knows no followers.
 */

import type { Flight } from "./flight.ts";
import {
  COMPLETE,
  INCOMPLETE,
  type FlightFault,
  type FlightHead,
  type LeadLine,
  NEW_LINE,
} from "./protocol.ts";

type Writer = WritableStreamDefaultWriter<Uint8Array>;

/** The first line. */
export function encodeLine(line: LeadLine): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(line)}\n`);
}

/** Writes the last byte. Never rejects: a reader that is gone needs none. */
export async function endProgress(writer: Writer, isComplete: boolean): Promise<void> {
  try {
    await writer.write(new Uint8Array([isComplete ? COMPLETE : INCOMPLETE]));
    await writer.close();
  } catch {
    // The object has stopped reading.
  }
}

export type ProgressEnd =
  | { readonly kind: "complete"; readonly head: FlightHead }
  | { readonly kind: "fault"; readonly fault: FlightFault; readonly leader: FlightHead["trace"] }
  /** The bytes ended without a mark, or before the head: the leader is gone. Or the stream itself reported its failure. */
  /** `isLost`: the leader is gone without a word. */
  | { readonly kind: "incomplete"; readonly isLost: boolean };

/** A head is some hundred bytes; a longer one does not come from our Worker. */
const MAX_LINE_BYTES = 16_384;

/** Reads to the end and hands the body's bytes to the flight, which is ended here. Never rejects. */
export async function readProgress(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  flight: Flight,
  onHead: (head: FlightHead) => void,
): Promise<ProgressEnd> {
  let head: FlightHead | undefined;
  let start = new Uint8Array();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      let bytes = value;
      if (head === undefined) {
        start = concat(start, value);
        const at = start.indexOf(NEW_LINE);
        if (at === -1 && start.length <= MAX_LINE_BYTES) continue;
        // Only our own Worker writes it: progress.ts, encodeLine.
        const line = JSON.parse(new TextDecoder().decode(start.subarray(0, at))) as LeadLine;
        if ("fault" in line) {
          flight.end("told");
          return { kind: "fault", fault: line.fault, leader: line.leader };
        }
        head = line.head;
        onHead(head);
        bytes = start.slice(at + 1);
      }
      const mark = bytes.at(-1);
      if (mark !== COMPLETE && mark !== INCOMPLETE) {
        await flight.append(bytes);
        continue;
      }
      await flight.append(bytes.subarray(0, -1));
      flight.end(mark === COMPLETE ? "complete" : "told");
      return mark === COMPLETE ? { kind: "complete", head } : { kind: "incomplete", isLost: false };
    }
  } catch {
    // The leader's request has ended in the middle.
  }
  flight.end("broken");
  return { kind: "incomplete", isLost: true };
}

function concat(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(one.length + other.length);
  all.set(one);
  all.set(other, one.length);
  return all;
}
