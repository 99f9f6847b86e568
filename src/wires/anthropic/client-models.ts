/**
 * The models list in Anthropic's form. Pure. https://platform.claude.com/docs/en/api/models-list (seen 2026-11)
 */

import type { ListedModel, ModelListing } from "../client-wire.ts";

/** Records have no creation time; the API's own word for an unknown one is an epoch value. */
const UNKNOWN_DATE = "1970-01-01T00:00:00Z";

/** All models on one page: a tenant has few. */
export const anthropicModels: ModelListing = {
  one: formatModel,
  list: (models) => ({
    data: models.map(formatModel),
    has_more: false,
    first_id: models[0]?.id ?? null,
    last_id: models.at(-1)?.id ?? null,
  }),
};

/** `display_name` is the name it is called by. */
function formatModel({ id }: ListedModel) {
  return { type: "model", id, display_name: id, created_at: UNKNOWN_DATE } as const;
}
