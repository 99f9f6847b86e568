// Calls a simulated model server with a clock that a test controls: waits are noted and end at once, but for the endless ones.
import type { LocalUpstream } from "../../../../src/providers/provider.ts";
import { createSimServer } from "../../../../src/providers/sim/server.ts";

/** What the server means by for ever. */
const FOREVER_MS = 3_600_000;

export interface SimCall {
  readonly body?: object;
  readonly bodyText?: string;
  readonly options?: Readonly<Record<string, string | number | boolean>>;
  readonly signal?: AbortSignal;
  readonly server?: LocalUpstream;
  readonly path?: string;
}

/** The response, and the waits so far in milliseconds. */
export async function callSim(model: string, call: SimCall = {}) {
  const waits: number[] = [];
  const sleep = (ms: number): Promise<void> => {
    waits.push(ms);
    return ms >= FOREVER_MS ? new Promise(() => undefined) : Promise.resolve();
  };
  const body = { model, messages: [{ role: "user", content: "Say hello" }], ...call.body };
  const response = await (call.server ?? createSimServer())(
    {
      method: "POST",
      url: `https://sim.invalid/v1${call.path ?? "/chat/completions"}`,
      headers: {},
      body: call.bodyText ?? JSON.stringify(body),
    },
    { options: call.options ?? {}, signal: call.signal ?? new AbortController().signal, sleep },
  );
  return { response, waits };
}

/** The whole answer of a call that is no stream. */
export async function askSim(model: string, body: object = {}) {
  const { response } = await callSim(model, { body });
  return Object(await response.json());
}
