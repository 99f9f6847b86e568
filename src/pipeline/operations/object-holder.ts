/** Which account holds an object or is given a new one, and whether a key may have a batch run there. */

import { GatewayError, toGatewayError } from "../../errors.ts";
import { isModelAllowed } from "../../routing/plan.ts";
import type { Provider } from "../../providers/provider.ts";
import type { TenantBundle } from "../../tenants/records/records.ts";
import { addressOf, type Collection, type VendorObject } from "../../vendor-objects/protocol.ts";
import { refusesUnpriced, unpriced } from "../budget.ts";
import type { BareCall, Deps } from "../ports.ts";
import { askRegister } from "../previous-response.ts";
import { priceOfTarget } from "../target-price.ts";

const NOUNS: Readonly<Record<Collection, string>> = {
  responses: "stored response",
  files: "file",
  batches: "batch",
  "messages/batches": "message batch",
};

/** Throws `not_found` for what is not the tenant's, whether it exists or not. */
export async function findOwn(
  collection: Collection,
  id: string,
  deps: Deps,
  param: string,
): Promise<VendorObject> {
  const found = await askRegister(deps, (objects) => objects.find(collection, id));
  if (found !== undefined) return found;
  throw new GatewayError("not_found", `There is no ${NOUNS[collection]} '${id}'.`, { param });
}

/** By the newest records where the known ones refuse, so that a change works at once. Throws what `choose` throws. */
export async function withHolder(
  bundle: TenantBundle,
  deps: Deps,
  choose: (current: TenantBundle) => string,
): Promise<{ readonly bundle: TenantBundle; readonly holder: string }> {
  try {
    return { bundle, holder: choose(bundle) };
  } catch (thrown) {
    const fresh = await deps.reload().catch(() => undefined);
    if (fresh === undefined || fresh.version === bundle.version) throw toGatewayError(thrown);
    return { bundle: fresh, holder: choose(fresh) };
  }
}

/** The account of a known object. Throws `not_found` where its record was deleted or leads elsewhere. */
export function holderOf(
  { providers }: TenantBundle,
  { accountName, address, collection, id }: VendorObject,
): string {
  const record = Object.hasOwn(providers, accountName) ? providers[accountName] : undefined;
  if (record !== undefined && addressOf(record) === address) return accountName;
  const what = record === undefined ? "was deleted" : "has another address now";
  const message =
    `The provider '${accountName}', which holds the ${NOUNS[collection]} '${id}', ${what}. ` +
    "Write its record as it was, or create the object again.";
  throw new GatewayError("not_found", message, { param: "provider" });
}

export const PROVIDER_HEADER = "x-headgate-provider";

/** The provider that the client named, or the only one that has this API. Throws `invalid_request` or `model_not_found`. */
export function chooseHolder(
  { providers }: TenantBundle,
  collection: Collection,
  named: string | undefined,
  { providerOf }: Pick<Deps, "providerOf">,
): string {
  const able = Object.entries(providers)
    .filter(([, { kind }]) => canHold(collection, providerOf(kind)))
    .map(([name]) => name);
  const [only, ...others] = named === undefined ? able : able.filter((name) => name === named);
  if (only !== undefined && others.length === 0) return only;
  const message = `Name a provider that has /v1/${collection} in '${PROVIDER_HEADER}': ${able.join(", ") || "there is none"}.`;
  throw new GatewayError(only === undefined ? "model_not_found" : "invalid_request", message, {
    param: PROVIDER_HEADER,
  });
}

/** Whether accounts of a kind have the API of these objects: that of OpenAI, or of Anthropic. */
export function canHold(collection: Collection, { wires, nativeHeaders, sign, local }: Provider): boolean {
  if (nativeHeaders === undefined || sign !== undefined || local !== undefined) return false;
  const wanted = collection === "messages/batches" ? "anthropic-messages" : "openai-chat";
  return wires[0].clientWireName === wanted;
}

/**
 * Whether a key may have a batch of these models run there; `models` is undefined where they are not known. Throws
 * `permission_denied` or `unpriced`.
 */
export function checkModels(
  call: BareCall,
  accountName: string,
  models: readonly string[] | undefined,
  deps: Deps,
): void {
  const { allowedModels } = call.key;
  const refused = models?.find((model) => !isModelAllowed(allowedModels, `${accountName}/${model}`));
  if (allowedModels !== undefined && (models === undefined || refused !== undefined)) {
    const message =
      refused === undefined
        ? "The models of this batch can't be read, and this key may not use all."
        : `This key may not use the model '${accountName}/${refused}', which is in the batch.`;
    throw new GatewayError("permission_denied", message, { param: "model" });
  }
  if (!refusesUnpriced(call)) return;
  if (models === undefined) throw unpriced(accountName);
  const dear = models.find((model) => priceOfTarget(call.bundle, { accountName, model }, deps) === undefined);
  if (dear !== undefined) throw unpriced(`${accountName}/${dear}`);
}
