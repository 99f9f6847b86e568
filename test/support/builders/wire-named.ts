// A client wire by its name, for tables of tests. Fails the test for an unknown name.
import type { AnyClientWire } from "../../../src/wires/client-wire.ts";
import { clientWireNamed } from "../../../src/wires/registry.ts";

export function wireNamed(name: string): AnyClientWire {
  const clientWire = clientWireNamed(name);
  if (clientWire === undefined) throw new Error(`There is no client wire '${name}'.`);
  return clientWire;
}
