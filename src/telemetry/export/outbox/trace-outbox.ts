/**
 * The Durable Object of a tenant's trace outbox: keeps traces whose destination was down, and the sums of all
 * isolates. One per tenant, by its name, and `-` for the operator's destination. All decisions are made in
 * outbox-engine.ts.
 */

import { DurableObject } from "cloudflare:workers";
import { eraseObject } from "../../../runtime/erase-object.ts";
import { readSettings } from "../../../config.ts";
import { readBundle } from "../../../tenants/bundle.ts";
import type { DirectoryRpc } from "../../../tenants/directory/directory-api.ts";
import { createRecordOpener } from "../../../tenants/records/open-records.ts";
import { DIRECTORY_NAME } from "../../../tenants/storage-keys.ts";
import { operatorDestination, toDestination, type TraceDestination } from "../destination.ts";
import type { ExportStatus } from "../export-counters.ts";
import { sendOnce } from "../otlp-send.ts";
import { createOutboxEngine, type OutboxEngine } from "./outbox-engine.ts";
import { OPERATOR_OUTBOX, type TraceOutboxPort, type Push, type PushAnswer } from "../outbox-port.ts";

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
      send: (destination, payload) =>
        sendOnce(destination, payload, {
          fetch: (url, init) => fetch(url, init),
          clock: Date.now,
          timeoutSignal: (ms) => AbortSignal.timeout(ms),
        }),
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
): Promise<TraceDestination | "gone" | "unavailable"> {
  try {
    const settings = readSettings(env);
    if (tenantId === OPERATOR_OUTBOX) return operatorDestination(settings) ?? "gone";
    const directory: DirectoryRpc = env.DIRECTORY.getByName(DIRECTORY_NAME);
    const bundle = await readBundle(directory, tenantId);
    if (bundle === undefined) return "gone";
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
