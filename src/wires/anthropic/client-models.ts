/**
 * The models list in Anthropic's form. Pure. https://platform.claude.com/docs/en/api/models-list (seen 2026-11)
 */

import type { JsonRecord } from "../../json/fields.ts";

/** Records keep no date of birth; the API's own word for an unknown one is an epoch value. */
const UNKNOWN_DATE = "1970-01-01T00:00:00Z";

/** One model: `display_name` is the name it is asked for by. */
export function formatAnthropicModel(id: string): JsonRecord {
  return { type: "model", id, display_name: id, created_at: UNKNOWN_DATE };
}

/** All models on one page: a tenant has few. */
export function formatAnthropicModels(ids: readonly string[]): JsonRecord {
  return {
    data: ids.map(formatAnthropicModel),
    has_more: false,
    first_id: ids[0] ?? null,
    last_id: ids.at(-1) ?? null,
  };
}
