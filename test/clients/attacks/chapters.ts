// All attacks, in the order of the table.
import { maskedSecrets, privateAddresses } from "./addresses.ts";
import type { AttackChapter } from "./attack.ts";
import { otherTenants, wrongBodies, wrongRecords } from "./bodies.ts";
import { withoutAKey, withoutTheToken } from "./credentials.ts";
import { headersOnTheWay, localHosts, webPages } from "./headers.ts";
import { chosenAddresses, forbiddenModels, unsafeNames } from "./models.ts";
import { climbing, closedCalls, roundabout } from "./paths.ts";
import { lesserTokens } from "./tokens.ts";

export const ATTACKS: readonly AttackChapter[] = [
  withoutAKey,
  withoutTheToken,
  lesserTokens,
  roundabout,
  otherTenants,
  forbiddenModels,
  unsafeNames,
  closedCalls,
  climbing,
  chosenAddresses,
  headersOnTheWay,
  privateAddresses,
  maskedSecrets,
  webPages,
  localHosts,
  wrongBodies,
  wrongRecords,
];
