/**
 * An answer that is passed on as it is, whatever it is: no JavaScript on the path of its bytes, and no word of ours in
 * them. A fault breaks the client's connection off, as the upstream's own would have.
 */

import { readInBursts, type SideReader } from "./stream-reader.ts";
import { watchSilence } from "./gap-tracker.ts";
import { layPipe, pump, type StreamReport } from "./stream.ts";
import type { Attempt } from "./call.ts";

export interface RelayOptions {
  readonly name: string;
  readonly idleMs: number;
  readonly now: () => number;
  /** Sees the bytes beside their way. */
  readonly onBytes?: (bytes: Uint8Array) => void;
}

export interface Relay {
  readonly body: ReadableStream<Uint8Array>;
  /** Resolves once, whatever happens. */
  readonly done: Promise<StreamReport>;
}

/** Starts at once: what the upstream has answered is the answer. A body that is missing is an empty one. */
export function relayBody(attempt: Attempt, options: RelayOptions): Relay {
  const [forClient, aside] = (attempt.response.body ?? emptyBody()).tee();
  attempt.disarm();
  const side = createByteReader(aside, options);
  const pipe = layPipe(forClient);
  return { body: pipe.readable, done: pump(pipe, side, attempt, options) };
}

function emptyBody(): ReadableStream<Uint8Array> {
  const { body } = new Response("");
  if (body) return body;
  throw new Error("a response of no bytes has no body here");
}

/** A side reader that knows no format: the answer is complete when its connection ended as it should. */
function createByteReader(branch: ReadableStream<Uint8Array>, { now, onBytes }: RelayOptions): SideReader {
  const source = readInBursts(branch);
  const seen = { events: 0, bytes: 0, isEnded: false, failure: undefined, hasReportedFailure: false };
  const silence = watchSilence(now);
  return {
    async read() {
      const piece = await source.next();
      if (piece === undefined) {
        seen.isEnded = true;
        silence.end();
        return false;
      }
      silence.hear();
      seen.bytes += piece.byteLength;
      onBytes?.(piece);
      return true;
    },
    cancel: () => source.cancel().catch(() => {}),
    seen,
    longestSilence: silence.longest,
    isMidEvent: () => false,
    isComplete: () => seen.isEnded,
  };
}
