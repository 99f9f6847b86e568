/**
 * The Durable Object of a tenant's trace outbox: keeps traces whose destination was down, and the sums of all
 * isolates. One per tenant, by its name, and `-` for the operator's destination. All decisions are made in
 * outbox-engine.ts.
 */

import { DurableObject } from "cloudflare:workers";
import { eraseObject } from "../../../runtime/erase-object.ts";
import { readSettings, type Settings } from "../../../config.ts";
import { refuseUrl } from "../../../runtime/public-url.ts";
import { readBundle } from "../../../tenants/bundle.ts";
import type { DirectoryRpc } from "../../../tenants/directory/directory-api.ts";
import { createRecordOpener, openWebhookSecret } from "../../../tenants/records/open-records.ts";
import type { TenantBundle } from "../../../tenants/records/records.ts";
import { DIRECTORY_NAME } from "../../../tenants/storage-keys.ts";
import { operatorDestination, toDestination } from "../destination.ts";
import type { ExportStatus } from "../export-counters.ts";
import { sendOnce } from "../otlp-send.ts";
import { createOutboxEngine, type OutboxEngine } from "./outbox-engine.ts";
import { type OutboxTarget, sendSigned, webhookTarget } from "./webhook.ts";
import {
  OPERATOR_OUTBOX,
  WEBHOOK_NAME,
  type TraceOutboxPort,
  type Push,
  type PushAnswer,
} from "../outbox-port.ts";

export class TraceOutbox extends DurableObject<Env> implements TraceOutboxPort {
  readonly #engine: OutboxEngine;
  /** The alarm's time as far as known; setting it writes a row. */
  #alarmAt: number | undefined;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    const { storage } = state;
    this.#engine = createOutboxEngine({
      sql: storage.sql,
      kv: storage.kv,
      now: Date.now,
      random: Math.random,
      resolve: (tenantId, name) => resolve(env, tenantId, name),
      send: (target, payload) =>
        target.secret === undefined
          ? sendOnce(target, payload, SEND_PORTS)
          : sendSigned(target, target.secret, payload, SEND_PORTS),
      defer: (work) => state.waitUntil(work),
      wakeAt: (at) => this.#wakeAt(at),
    });
    void state.blockConcurrencyWhile(async () => {
      this.#alarmAt = (await storage.getAlarm()) ?? undefined;
    });
  }

  async push(push: Push): Promise<PushAnswer> {
    return this.#engine.push(push);
  }

  async status(): Promise<readonly ExportStatus[]> {
    return this.#engine.status();
  }

  /** Of a tenant that was deleted. */
  erase(): Promise<void> {
    return eraseObject(this.ctx);
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = undefined;
    this.#engine.wake();
  }

  /** An early alarm finds nothing due and is set again; an alarm is never postponed. */
  #wakeAt(at: number): void {
    if (this.#alarmAt !== undefined && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }
}

const SEND_PORTS = {
  fetch: (url: string, init: RequestInit): Promise<Response> => fetch(url, init),
  clock: (): number => Date.now(),
  timeoutSignal: (ms: number): AbortSignal => AbortSignal.timeout(ms),
};

/** Only destinations are opened here; destination.ts checks their addresses. */
const RULES = { allowPrivateUpstreams: false, defaultBaseUrl: () => undefined };

/**
 * Read again for each round: the outbox keeps no credential, uses a changed one at once, and sends nothing to a
 * removed destination.
 */
async function resolve(
  env: Env,
  tenantId: string,
  name: string,
): Promise<OutboxTarget | "gone" | "unavailable"> {
  try {
    const settings = readSettings(env);
    if (tenantId === OPERATOR_OUTBOX) return operatorDestination(settings) ?? "gone";
    const directory: DirectoryRpc = env.DIRECTORY.getByName(DIRECTORY_NAME);
    const bundle = await readBundle(directory, tenantId);
    if (bundle === undefined) return "gone";
    if (name === WEBHOOK_NAME) return await resolveWebhook(bundle, settings);
    const opened = await createRecordOpener(settings.masterKeys, RULES).openDestinations(bundle);
    const record = opened.find((destination) => destination.name === name);
    if (record === undefined) return "gone";
    const destination = toDestination(record, bundle.tenant.tracing.content, settings);
    // An unusable credential may be corrected; until then the batches wait and age.
    return "fault" in destination ? "unavailable" : destination;
  } catch {
    return "unavailable";
  }
}

async function resolveWebhook(
  bundle: TenantBundle,
  { masterKeys, allowPrivateUpstreams }: Settings,
): Promise<OutboxTarget | "gone" | "unavailable"> {
  const { webhook } = bundle.tenant.alerts ?? {};
  const secret = await openWebhookSecret(bundle, masterKeys);
  if (webhook === undefined || secret === undefined) return "gone";
  // The record may be older than the deployment's rules.
  if (refuseUrl(webhook.url, { allowPrivate: allowPrivateUpstreams }) !== undefined) return "unavailable";
  return webhookTarget(webhook.url, secret);
}
