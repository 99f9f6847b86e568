/**
 * From a body that an operator sent to a checked record: schema, then what a schema can't see (addresses, fields that a
 * kind requires). Each fault is an `invalid_request` that names the field. Pure.
 */

import "../../json/zod-messages.ts";
import type { z } from "zod/mini";
import { GatewayError } from "../../errors.ts";
import { type TokenInput, tokenSchema } from "../admin/token-record.ts";
import { mergePatch } from "../../json/merge-patch.ts";
import { refuseUrl } from "../../runtime/public-url.ts";
import {
  keySchema,
  providerSchema,
  rotationSchema,
  tenantSchema,
  type KeyInput,
  type ProviderInput,
  type TenantRecord,
} from "./records.ts";
import { drainSchema, type DrainRecord, raiseSchema, type RaiseRecord } from "./limits-record.ts";
import type { LimitsRecord } from "./limits-record.ts";
import { findExcess, type LimitRules, NO_LIMIT_RULES } from "./limit-rules.ts";
import { recordName } from "./record-name.ts";
import type { KeyView } from "./record-views.ts";
import { routeSchema, type RouteRecord } from "./route-record.ts";

/** What a deployment allows. */
export interface DeploymentRules {
  /** UPSTREAM_ALLOW_PRIVATE: addresses may be http and private. */
  readonly allowPrivateUpstreams: boolean;
  /** The kind's own base URL, or undefined where the record must name one. */
  readonly defaultBaseUrl: (kind: string) => string | undefined;
  /** The deployment's defaults and ceilings; none where absent. */
  readonly limitRules?: LimitRules;
}

/** The rules of the deployment and of the provider registry. */
export interface RecordRules extends DeploymentRules {
  /** The kinds that a provider record may name. */
  readonly providerKinds: readonly string[];
}

/** A tenant, provider or route name from a URL. */
export function parseName(what: "tenant" | "provider" | "route", name: string): string {
  const parsed = recordName.safeParse(name);
  if (parsed.success) return parsed.data;
  throw fault(what, `The ${what}'s name is not valid: ${parsed.error.issues[0]?.message ?? "unknown"}.`);
}

/**
 * The body of `PUT /admin/tenants/{tenant}`; what GET adds to the record may be there: an `id`, where it is the URL's, and
 * `effectiveLimits`, which is ignored.
 */
export function parseTenant(body: unknown, tenantId: string, rules: DeploymentRules): TenantRecord {
  const record = parse(tenantSchema, withoutEffectiveLimits(withoutName(body, "id", tenantId)));
  checkLimits(record.limits, rules.limitRules);
  const { alerts } = record;
  if (alerts !== undefined) checkUrl(alerts.webhook.url, "alerts.webhook.url", rules);
  const seen = new Set<string>();
  for (const [at, destination] of record.tracing.destinations.entries()) {
    const param = `tracing.destinations[${at}]`;
    if (seen.has(destination.name))
      throw fault(
        `${param}.name`,
        `${param}.name: "${destination.name}" is used twice. Give each destination its own name.`,
      );
    seen.add(destination.name);
    if (destination.endpoint !== undefined) checkUrl(destination.endpoint, `${param}.endpoint`, rules);
  }
  return record;
}

/** The body of `PUT …/providers/{name}`; a `name` is accepted where it is the URL's, as GET shows it. */
export function parseProvider(body: unknown, name: string, rules: RecordRules): ProviderInput {
  const record = parse(providerSchema, withoutName(body, "name", name));
  if (!rules.providerKinds.includes(record.kind))
    throw fault("kind", `kind: is unknown. Use one of ${rules.providerKinds.join(", ")}.`);
  if (record.baseUrl !== undefined) {
    checkUrl(record.baseUrl, "baseUrl", rules);
    if (record.baseUrl.includes("?")) throw fault("baseUrl", "baseUrl: must not have a query.");
  } else if (record.kind !== "sim") {
    // The simulator runs in the Worker, and its address is not called.
    const preset = rules.defaultBaseUrl(record.kind);
    if (preset === undefined) throw fault("baseUrl", `baseUrl: is required for the kind ${record.kind}.`);
    checkDefaultUrl(preset, record.kind, rules);
  }
  return record;
}

/**
 * The body of `PUT …/routes/{name}`. Its targets may name providers that don't exist yet: records can then be written
 * in any order, and a request that reaches such a target gets an error.
 */
export function parseRoute(body: unknown, name: string): RouteRecord {
  return parse(routeSchema, withoutName(body, "name", name));
}

/** The body of `POST …/keys`. */
export function parseKey(body: unknown, nowMs: number, limitRules?: LimitRules): KeyInput {
  const input = parse(keySchema, body);
  checkLimits(input.limits, limitRules);
  checkExpiry(input.expiresAt, nowMs);
  return input;
}

/** The body of `POST /admin/tokens`. */
export function parseToken(body: unknown, nowMs: number): TokenInput {
  const input = parse(tokenSchema, body);
  checkExpiry(input.expiresAt, nowMs);
  return input;
}

function checkExpiry(expiresAt: string | undefined, nowMs: number): void {
  if (expiresAt === undefined || Date.parse(expiresAt) > nowMs) return;
  throw fault("expiresAt", "expiresAt: must be in the future.");
}

/**
 * The body of `PATCH …/keys/{id}`, laid over what GET shows of the key (RFC 7396). Its id and its times can't be changed, and
 * an expiry that has passed already may stay.
 */
export function parseKeyPatch(
  patch: unknown,
  shown: KeyView,
  nowMs: number,
  limitRules?: LimitRules,
): KeyInput {
  const merged = mergePatch(shown, patch);
  if (typeof merged !== "object" || merged === null) throw fault("", "The body: must be an object.");
  const { id, createdAt, lastUsedAt: _, ...input }: Partial<Record<string, unknown>> = { ...merged };
  if (id !== shown.id) throw fault("id", "id: can't be changed.");
  if (createdAt !== shown.createdAt) throw fault("createdAt", "createdAt: can't be changed.");
  const isExpiryKept = input["expiresAt"] !== undefined && input["expiresAt"] === shown.expiresAt;
  return parseKey(input, isExpiryKept ? Number.NEGATIVE_INFINITY : nowMs, limitRules);
}

/** The body of `POST …/keys/{id}/rotate`, which may be absent: how long the old key stays valid, in ms. */
export function parseRotation(body: unknown): number {
  return parse(rotationSchema, body ?? {}).overlapSeconds * 1000;
}

/** The body of `POST …/queue/limits`. */
export function parseRaise(body: unknown, limitRules: LimitRules): RaiseRecord {
  const raise = parse(raiseSchema, body);
  checkLimits(raise.limits, limitRules);
  return raise;
}

/** The body of `POST …/queue/drain`. */
export function parseDrain(body: unknown): DrainRecord {
  return parse(drainSchema, body);
}

const MAX_FAULTS_SHOWN = 5;
/** The sender chooses field names, so they may be long. */
const MAX_MESSAGE_CHARS = 600;

function parse<Schema extends z.ZodMiniType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.flatMap(describe).slice(0, MAX_FAULTS_SHOWN);
  const message = faults.map(({ text }) => text).join(" ");
  throw fault(faults[0]?.param ?? "", message.slice(0, MAX_MESSAGE_CHARS));
}

interface Fault {
  readonly param: string;
  readonly text: string;
}

function describe(issue: z.core.$ZodIssue): readonly Fault[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const param = fieldPath([...issue.path, key]);
      return { param, text: `${param}: unknown field.` };
    });
  }
  const param = fieldPath(issue.path);
  return [{ param, text: `${param === "" ? "The body" : param}: ${issue.message}.` }];
}

/** `targets[0].provider`. */
function fieldPath(path: readonly PropertyKey[]): string {
  return path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .replace(/^\./, "");
}

/** GET shows a record with its name; sent back, it must be the one of the URL. */
function withoutName(body: unknown, field: "id" | "name", expected: string): unknown {
  if (typeof body !== "object" || body === null || !Object.hasOwn(body, field)) return body;
  const { [field]: given, ...rest }: Partial<Record<"id" | "name", unknown>> = body;
  if (given === expected) return rest;
  throw fault(field, `${field}: must be "${expected}" as in the URL, or absent.`);
}

function withoutEffectiveLimits(body: unknown): unknown {
  if (typeof body !== "object" || body === null || !Object.hasOwn(body, "effectiveLimits")) return body;
  const { effectiveLimits: _shown, ...rest }: { readonly effectiveLimits?: unknown } = body;
  return rest;
}

/** Throws `invalid_request` that names the first limit above the deployment's ceiling. */
function checkLimits(limits: LimitsRecord = {}, limitRules: LimitRules = NO_LIMIT_RULES): void {
  const excess = findExcess(limits, limitRules);
  if (excess === undefined) return;
  const param = `limits.${excess.field}`;
  throw fault(param, `${param}: must be at most ${excess.ceiling} in this deployment (MAX_LIMITS).`);
}

function checkUrl(url: string, param: string, rules: DeploymentRules): void {
  const refusal = refuseUrl(url, { allowPrivate: rules.allowPrivateUpstreams });
  if (refusal !== undefined) throw fault(param, `${param}: ${refusal}.`);
}

/** A kind that runs on the operator's own machine has a default that a deployment does not allow. */
function checkDefaultUrl(url: string, kind: string, rules: DeploymentRules): void {
  const refusal = refuseUrl(url, { allowPrivate: rules.allowPrivateUpstreams });
  if (refusal === undefined) return;
  throw fault("baseUrl", `baseUrl: is required for the kind ${kind} here: its default ${url} ${refusal}.`);
}

function fault(param: string, message: string): GatewayError {
  return new GatewayError("invalid_request", message, param === "" ? {} : { param });
}
