// A client wire by its name, for tables of tests. Fails the test for an unknown name.
import { createSseParser, type ServerSentEvent } from "../../../src/bytes/sse.ts";
import type { AnyClientWire } from "../../../src/wires/client-wire.ts";
import { clientWireNamed } from "../../../src/wires/registry.ts";

export function wireNamed(name: string): AnyClientWire {
  const clientWire = clientWireNamed(name);
  if (clientWire === undefined) throw new Error(`There is no client wire '${name}'.`);
  return clientWire;
}

/** The events of a stream's text. */
export function streamOf(text: string): readonly ServerSentEvent[] {
  return createSseParser().push(new TextEncoder().encode(text));
}
