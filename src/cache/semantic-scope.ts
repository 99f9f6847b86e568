/**
 * The scope of a semantic look-up: everything that can change the answer except the last user text, as one digest. Only
 * entries of the same scope are ever compared; the tenant, its epoch and the embedding model are part of it. Pure.
 */

import type { SemanticSettings } from "../tenants/records/route-record.ts";
import { cacheKey, type CacheKeyInput } from "./key.ts";

/**
 * `owner` is the gateway key whose entries are compared, or empty for all keys of the tenant: a crafted text can come near
 * to another one. `rest` is the body without the text: last-user-text.ts. Where a number can't be represented in JSON, the text counts too. */
export async function semanticScope(
  input: CacheKeyInput,
  rest: CacheKeyInput["chat"]["body"],
  { embedding, dimensions }: Pick<SemanticSettings, "embedding" | "dimensions">,
  owner: string,
): Promise<string> {
  const planVersion = JSON.stringify(["semantic", input.planVersion, embedding, dimensions ?? null, owner]);
  const { digest } = await cacheKey({ ...input, planVersion, chat: { ...input.chat, body: rest } });
  return digest;
}
