/**
 * Under what name an answer is cached: SHA-256 over everything that can change it. Pure. The tenant is part of the
 * key by its type: the store takes nothing else, so no look-up can forget it.
 */

import type { ChatRequest } from "../schema/chat.ts";
import { canonicalText } from "../json/canonical.ts";
import { sha256Hex } from "../bytes/digest.ts";
import { createBoundedMap } from "../runtime/bounded-map.ts";

declare const made: unique symbol;

/** Made by `cacheKey`, and from its digests by `knownCacheKey`: the mark is the compiler's alone. */
export interface CacheKey {
  readonly [made]: true;
  readonly tenantId: string;
  /** Hex of SHA-256; tells nothing about the request, and is no secret to its tenant. */
  readonly digest: string;
}

export interface CacheKeyInput {
  readonly tenantId: string;
  /** Bumped by a purge. */
  readonly epoch: number;
  /** Stands for all that decides who answers and how: the route's targets with their params, or a pin. */
  readonly planVersion: string | number;
  readonly chat: ChatRequest;
  /** Client headers that are passed on to the upstream (`openai-beta`) and may change its answer. */
  readonly passedHeaders?: Readonly<Record<string, string>>;
}

/** A crowd asks the same: of the last requests that are short, 2 M characters at the most. */
const MAX_KNOWN_CHARS = 4096;
const digests = createBoundedMap<string, string>(500);

/** Changes when the form below, or that of the entries, does: old entries are then never found again. */
const FORMAT = 1;

/** A key out of a digest that `cacheKey` made once for this tenant. */
export function knownCacheKey(tenantId: string, digest: string): CacheKey {
  const unmarked: Omit<CacheKey, typeof made> = { tenantId, digest };
  return unmarked as CacheKey;
}

/** The same key for the same tenant and requests of equal meaning; order of members and white space don't matter. */
export async function cacheKey(input: CacheKeyInput): Promise<CacheKey> {
  const { tenantId, epoch, planVersion, chat, passedHeaders = {} } = input;
  const scope = [FORMAT, tenantId, epoch, planVersion, chat.wire.name, chat.operation, chat.model];
  // What is equal to the letter has an equal key, and needs no canonical form to know it.
  const letters = JSON.stringify([scope, passedHeaders]) + chat.bodyText;
  const known = digests.get(letters);
  if (known !== undefined) return knownCacheKey(tenantId, known);
  const body = canonicalText(chat.body, chat.wire.insignificantFields);
  // Where a body can't be told apart by its parsed value, its very text is compared: fewer hits, never a wrong one.
  const parts = [scope, passedHeaders, body === undefined ? [chat.bodyText] : body];
  const digest = await sha256Hex(canonicalText(parts) ?? JSON.stringify(parts));
  if (letters.length <= MAX_KNOWN_CHARS) digests.set(letters, digest);
  return knownCacheKey(tenantId, digest);
}

/** One digest for requests that say the very same, delivery included: what an idempotency key is held against. */
export function requestDigest({
  wire,
  operation,
  model,
  stream,
  body,
  bodyText,
}: ChatRequest): Promise<string> {
  return sha256Hex(JSON.stringify([wire.name, operation, model, stream, canonicalText(body) ?? bodyText]));
}
