/** The models list in OpenAI's form. Pure. https://platform.openai.com/docs/api-reference/models (seen 2026-11) */

import type { ListedModel, ModelListing } from "../client-wire.ts";

export const openAiModels: ModelListing = {
  one: formatModel,
  list: (models) => ({ object: "list", data: models.map(formatModel) }),
};

/** Records have no creation time, so `created` is 0, as the format allows. */
function formatModel({ id, owner }: ListedModel) {
  return { id, object: "model", created: 0, owned_by: owner } as const;
}
