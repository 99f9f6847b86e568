/**
 * The deployment's own limits: what applies to a tenant whose record sets none (DEFAULT_LIMITS), and what no record may
 * exceed (MAX_LIMITS). They hold for stored records too, whenever those were written. Pure.
 */

import { crc32OfAscii } from "../../bytes/digest.ts";
import { readSettings } from "../../config.ts";
import { GatewayError } from "../../errors.ts";
import { type LimitsRecord, limitsSchema } from "./limits-record.ts";

export interface LimitRules {
  readonly defaults: LimitsRecord;
  readonly ceilings: LimitsRecord;
  /** Tells one deployment's rules from another's; absent where it has none. */
  readonly id?: string;
}

export const NO_LIMIT_RULES: LimitRules = { defaults: {}, ceilings: {} };

/** The settings' JSON. Throws `unavailable` that names the setting and the field. */
export function parseLimitRules(defaultLimits = "", maxLimits = ""): LimitRules {
  if (defaultLimits === "" && maxLimits === "") return NO_LIMIT_RULES;
  return {
    defaults: parseSetting("DEFAULT_LIMITS", defaultLimits),
    ceilings: parseSetting("MAX_LIMITS", maxLimits),
    id: crc32OfAscii(encodeURIComponent(`${defaultLimits} ${maxLimits}`)).toString(36),
  };
}

/** As `parseLimitRules`, for an object: none where the environment is wrong, which every request then reports. */
export function limitRulesOf(env: object): LimitRules {
  try {
    const { defaultLimits, maxLimits } = readSettings(env);
    return parseLimitRules(defaultLimits, maxLimits);
  } catch {
    return NO_LIMIT_RULES;
  }
}

function parseSetting(name: string, text: string): LimitsRecord {
  const parsed = limitsSchema.safeParse(text === "" ? {} : parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = [name, ...(issue?.path ?? [])].join(".");
  throw new GatewayError(
    "unavailable",
    `The gateway is misconfigured: ${field}: ${issue?.message ?? "must be JSON"}. Its form is that of a tenant's limits, as JSON.`,
    { param: name },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const RATES = [
  "requestsPerMinute",
  "burst",
  "tokensPerMinute",
  "concurrency",
  "unqueuedRequestsPerMinute",
  "maxBodyBytes",
] as const;
const QUEUE = ["maxDepth", "maxWaitMs"] as const;

/** A record's own limits, none above its ceiling. */
export function clampLimits(own: LimitsRecord, { ceilings }: LimitRules): LimitsRecord {
  const clamped: LimitsRecord = { ...own, ...(own.queue && { queue: { ...own.queue } }) };
  for (const name of RATES) {
    const ceiling = ceilings[name];
    if (own[name] !== undefined && ceiling !== undefined) clamped[name] = Math.min(own[name], ceiling);
  }
  for (const name of QUEUE) {
    const [value, ceiling] = [own.queue?.[name], ceilings.queue?.[name]];
    if (value !== undefined && ceiling !== undefined)
      clamped.queue = { ...clamped.queue, [name]: Math.min(value, ceiling) };
  }
  return clamped;
}

/**
 * The limits in force: the record's own, the defaults where it has none, and nothing above the ceilings. A default burst
 * belongs to the default rate and not to a rate of the record's own.
 */
export function effectiveLimits(own: LimitsRecord, rules: LimitRules): LimitsRecord {
  const { id, defaults, ceilings } = rules;
  if (id === undefined) return own;
  const { burst: defaultBurst, ...others } = defaults;
  const hasOwnRate = own.requestsPerMinute !== undefined;
  const filled: LimitsRecord = {
    ...ceilings,
    ...others,
    ...(!hasOwnRate && defaultBurst !== undefined && { burst: defaultBurst }),
    ...own,
    queue: { ...ceilings.queue, ...defaults.queue, ...own.queue },
  };
  const isBurstSet = own.burst !== undefined || (!hasOwnRate && defaultBurst !== undefined);
  const limits = clampLimits(filled, rules);
  // A ceiling is not a default: without a burst of its own a rate has ten seconds' worth, or the ceiling if that is less.
  if (!isBurstSet && limits.burst !== undefined)
    limits.burst = Math.min(limits.burst, Math.max(1, Math.ceil((limits.requestsPerMinute ?? Infinity) / 6)));
  return limits;
}

/** The first limit above its ceiling: `concurrency`, `queue.maxDepth`. */
export function findExcess(
  own: LimitsRecord,
  { ceilings }: LimitRules,
): { readonly field: string; readonly ceiling: number } | undefined {
  for (const name of RATES) {
    const ceiling = ceilings[name];
    if (ceiling !== undefined && (own[name] ?? 0) > ceiling) return { field: name, ceiling };
  }
  for (const name of QUEUE) {
    const ceiling = ceilings.queue?.[name];
    if (ceiling !== undefined && (own.queue?.[name] ?? 0) > ceiling)
      return { field: `queue.${name}`, ceiling };
  }
  return undefined;
}
