/** Notes that a stored response is the tenant's, before its id reaches the client, which can go on from it at the vendor. */

import type { AnswerContext } from "./answer-context.ts";
import type { Exchange } from "../attempts/exchange.ts";
import { addressOf } from "../../vendor-objects/protocol.ts";

/** Whether an answer has an id of a vendor's Responses API. */
export function isResponse({ upstreamWireName }: Pick<Exchange, "upstreamWireName">): boolean {
  return upstreamWireName === "openai-responses";
}

/** A fault fails no answer that was paid for: the response can't be used again then, and says so when that is tried. */
export async function keepResponse(
  { attempts: { call, deps }, turn: { target } }: AnswerContext,
  id: string | undefined,
): Promise<void> {
  const record = call.bundle.providers[target.accountName];
  // The vendor keeps what a request doesn't tell it not to.
  if (id === undefined || call.chat.body["store"] === false || record === undefined) return;
  const { accountName } = target;
  const trace = call.trace.root.ref;
  const kept = { collection: "responses", id, accountName, address: addressOf(record), trace } as const;
  await deps.vendorObjects((register) => register.keep([kept])).catch(() => {});
}
