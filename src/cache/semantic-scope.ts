/**
 * Within what a request is looked up by meaning: all that can change its answer but its last user text, as one digest.
 * Only entries of the same scope are ever compared, and the tenant, his epoch and the embedding model are part of it.
 * Pure.
 */

import type { SemanticSettings } from "../tenants/records/route-record.ts";
import { cacheKey, type CacheKeyInput } from "./key.ts";

/** `rest` is the body without the text: last-user-text.ts. Numbers that JSON can't hold make the text count too. */
export async function semanticScope(
  input: CacheKeyInput,
  rest: CacheKeyInput["chat"]["wire"],
  { embedding, dimensions }: Pick<SemanticSettings, "embedding" | "dimensions">,
): Promise<string> {
  const planVersion = JSON.stringify(["semantic", input.planVersion, embedding, dimensions ?? null]);
  const { digest } = await cacheKey({ ...input, planVersion, chat: { ...input.chat, wire: rest } });
  return digest;
}
