/** A request's wait before it calls an upstream again. */

import { unlessAborted } from "../runtime/waits.ts";
import { abortCauseOf, toUpstreamError } from "../upstream/call.ts";
import type { UpstreamPorts } from "../upstream/send.ts";

/** Throws what the client gets where the signal fires first: `client_disconnected`, or why the request was ended. */
export async function sleepUnlessGone(
  ms: number,
  signal: AbortSignal,
  { sleep }: Pick<UpstreamPorts, "sleep">,
): Promise<void> {
  if (ms > 0 && !signal.aborted) await unlessAborted(sleep(ms), signal);
  if (signal.aborted) throw toUpstreamError(undefined, abortCauseOf(signal), "the upstream");
}
