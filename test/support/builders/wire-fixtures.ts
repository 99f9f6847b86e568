// Recorded or hand-written wire bytes, and the three ways in which a network may bring them: whole, byte by byte, and in sevens.
// Read by the tests of the parser, the decoders and the wires.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createSseParser, type ServerSentEvent } from "../../../src/bytes/sse.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures");

/** Sizes of the pieces a stream fixture is replayed in. */
export const SPLITS = [Number.MAX_SAFE_INTEGER, 1, 7] as const;

export function fixtureBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(FIXTURES, path)));
}

export function fixtureText(path: string): string {
  return readFileSync(join(FIXTURES, path), "utf8");
}

export function fixtureJson(path: string): unknown {
  return JSON.parse(fixtureText(path));
}

/** All events of these bytes, brought in pieces of `size`. */
export function parseInPieces(bytes: Uint8Array, size: number): readonly ServerSentEvent[] {
  const parser = createSseParser();
  const events: ServerSentEvent[] = [];
  for (let at = 0; at < bytes.length; at += size) events.push(...parser.push(bytes.subarray(at, at + size)));
  return events;
}

export function parseText(text: string): readonly ServerSentEvent[] {
  return createSseParser().push(new TextEncoder().encode(text));
}
