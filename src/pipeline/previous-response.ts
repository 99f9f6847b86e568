/**
 * A request that goes on from a stored response (`previous_response_id`) is for the account that holds it: found among the
 * tenant's own, since an account may be shared, and the plan has that account's targets alone.
 */

import { GatewayError } from "../errors.ts";
import type { Plan } from "../routing/plan.ts";
import type { PlannedTarget } from "../routing/planned-target.ts";
import { addressOf, type VendorObject, type VendorObjectsRpc } from "../vendor-objects/protocol.ts";
import type { BareCall, Deps } from "./ports.ts";

export interface PreviousResponse {
  readonly id: string;
  /** Absent where the tenant has none of that id. */
  readonly kept?: VendorObject;
}

const WIRE = "openai-responses";
const FIELD = "previous_response_id";

/** Undefined for a request that names none. Throws `unavailable`. */
export function findPrevious({ chat }: BareCall, deps: Deps): Promise<PreviousResponse> | undefined {
  const id = chat.wire.name === WIRE ? chat.body[FIELD] : undefined;
  return typeof id === "string" ? find(id, deps) : undefined;
}

async function find(id: string, deps: Deps): Promise<PreviousResponse> {
  const kept = await askRegister(deps, (register) => register.find("responses", id));
  return { id, ...(kept && { kept }) };
}

/** Throws `unavailable` where the tenant's register can't be reached. */
export async function askRegister<T>(
  deps: Deps,
  read: (objects: VendorObjectsRpc) => Promise<T>,
): Promise<T> {
  try {
    return await deps.vendorObjects(read);
  } catch (cause) {
    const message = "The register of stored objects is unavailable. Try again in a few seconds.";
    throw new GatewayError("unavailable", message, { cause });
  }
}

/**
 * The plan's targets at the account that holds the response. Of an unknown one those are left that have no stored responses: the field
 * is refused or dropped there. Throws `not_found`, or `invalid_request` where the plan has no target at that account.
 */
export function planAtHolder(
  plan: Plan,
  { id, kept }: PreviousResponse,
  { bundle: { providers } }: Pick<BareCall, "bundle">,
  { providerOf }: Pick<Deps, "providerOf">,
): Plan {
  const isAble = ({ accountName }: PlannedTarget): boolean => {
    const kind = providers[accountName]?.kind;
    return kind !== undefined && providerOf(kind).wires.some(({ clientWireName }) => clientWireName === WIRE);
  };
  if (!plan.targets.some(isAble)) return plan;
  const isHolder = ({ accountName }: PlannedTarget): boolean => {
    const record = providers[accountName];
    return accountName === kept?.accountName && record !== undefined && addressOf(record) === kept.address;
  };
  const [first, ...rest] = plan.targets.filter((target) => (kept ? isHolder(target) : !isAble(target)));
  if (first === undefined) throw noTarget(plan, id, kept);
  const { hedge: _, ...unhedged } = plan;
  return { ...unhedged, targets: [first, ...rest], reason: `${plan.reason}; by the previous response` };
}

function noTarget({ routeId }: Plan, id: string, kept: VendorObject | undefined): GatewayError {
  const param = FIELD;
  if (kept === undefined)
    return new GatewayError("not_found", `There is no stored response '${id}'.`, { param });
  const message =
    `The response '${id}' is at the provider '${kept.accountName}', which is not a target of '${routeId}', or has another address now. ` +
    "Name a model of that provider, or send the whole conversation.";
  return new GatewayError("invalid_request", message, { param });
}
