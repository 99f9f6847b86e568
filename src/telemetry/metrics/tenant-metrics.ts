/**
 * The Durable Object of one tenant's metrics: isolates add what they gathered, readers get totals, and an alarm
 * exports them by OTLP while there is traffic. The sums themselves are ledger.ts.
 */

import { DurableObject } from "cloudflare:workers";
import { eraseObject } from "../../runtime/erase-object.ts";
import { readSettings, type Settings } from "../../config.ts";
import { VERSION } from "../../version.ts";
import { sendExport } from "../export/otlp-send.ts";
import { UNKNOWN_TENANT } from "../store/stored-trace.ts";
import { createMetricsLedger, type MetricsLedger, type SavedMetricsLedger } from "./ledger.ts";
import type { MetricsBatch, MetricsPort } from "./metrics-port.ts";
import { encodeMetrics, metricsUrl } from "./otlp-metrics.ts";
import type { Series } from "./series.ts";

const LEDGER_KEY = "ledger";
const TENANT_KEY = "tenant";

/** At most one row in this time: writing a row costs as much as seven calls. A crash loses what was added since. */
const SAVE_INTERVAL_MS = 5000;
/** OpenTelemetry's default for periodic exports. */
const EXPORT_INTERVAL_MS = 60_000;
/** The first export is sooner, for an operator who has just set up OTLP. */
const FIRST_EXPORT_MS = 2000;
/** After this many failed exports in a row, the next one waits for new traffic. */
const MAX_FAILURES = 10;
/** A queue without a finished request for this long is empty, since waits are shorter; its object is not woken. */
const DEPTH_FOR_MS = 600_000;

export class TenantMetrics extends DurableObject<Env> implements MetricsPort {
  readonly #ledger: MetricsLedger;
  readonly #settings: Settings | undefined;
  #tenantId: string | undefined;
  #isDirty = false;
  #savedAt = 0;
  #saveTimer: ReturnType<typeof setTimeout> | undefined;
  #hasAlarm = false;
  #exportedAt = 0;
  #failures = 0;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#ledger = createMetricsLedger(state.storage.kv.get<SavedMetricsLedger>(LEDGER_KEY));
    this.#tenantId = state.storage.kv.get<string>(TENANT_KEY);
    this.#settings = settingsOf(env);
  }

  async add(tenantId: string, batches: readonly MetricsBatch[]): Promise<void> {
    const now = Date.now();
    this.#keepTenant(tenantId);
    if (!this.#ledger.add(batches, now)) return;
    this.#isDirty = true;
    this.#failures = 0;
    this.#planSave(now);
    await this.#keepAlarm(Math.max(now + FIRST_EXPORT_MS, this.#exportedAt + EXPORT_INTERVAL_MS));
  }

  async read(tenantId: string): Promise<readonly Series[]> {
    // Saved before it is read: a total that was read never decreases.
    this.#save();
    const series = this.#ledger.list();
    return [...series, ...(await this.#depthOf(tenantId, series, Date.now()))];
  }

  /** Of a tenant that was deleted. */
  erase(): Promise<void> {
    return eraseObject(this.ctx);
  }

  /**
   * Sends all totals. The object's alarm. A failed export loses nothing: the next one sends the same totals and
   * more.
   */
  override async alarm(): Promise<void> {
    this.#hasAlarm = false;
    this.#exportedAt = Date.now();
    const endpoint = this.#settings?.otlpEndpoint;
    const tenantId = this.#tenantId;
    if (endpoint === undefined || this.#settings === undefined || tenantId === undefined) return;
    const series = await this.read(tenantId);
    const resource = { serviceName: this.#settings.serviceName, serviceVersion: VERSION };
    const body = encodeMetrics(tenantId, series, resource, Date.now());
    if (body === undefined) return;
    const destination = {
      name: "operator",
      url: metricsUrl(endpoint),
      headers: this.#settings.otlpHeaders,
      gzip: false,
    };
    const delivery = await sendExport(destination, body, SEND_PORTS);
    if (delivery.kind === "delivered") {
      this.#failures = 0;
      return;
    }
    this.#failures++;
    if (this.#failures < MAX_FAILURES) await this.#keepAlarm(Date.now() + EXPORT_INTERVAL_MS);
  }

  #keepTenant(tenantId: string): void {
    if (this.#tenantId === tenantId) return;
    this.#tenantId = tenantId;
    this.ctx.storage.kv.put(TENANT_KEY, tenantId);
  }

  #planSave(now: number): void {
    if (this.#saveTimer !== undefined) return;
    const dueInMs = this.#savedAt + SAVE_INTERVAL_MS - now;
    if (dueInMs <= 0) this.#save();
    else this.#saveTimer = setTimeout(() => this.#save(), dueInMs);
  }

  #save(): void {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    if (!this.#isDirty) return;
    this.ctx.storage.kv.put<SavedMetricsLedger>(LEDGER_KEY, this.#ledger.save());
    this.#isDirty = false;
    this.#savedAt = Date.now();
  }

  async #keepAlarm(at: number): Promise<void> {
    if (this.#hasAlarm || this.#settings?.otlpEndpoint === undefined) return;
    this.#hasAlarm = true;
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(at);
  }

  /** The queue object's current depth; nothing when it is unreachable. */
  async #depthOf(tenantId: string, series: readonly Series[], now: number): Promise<readonly Series[]> {
    const isRecent = series.some(({ touchedAt }) => now - touchedAt < DEPTH_FOR_MS);
    if (!isRecent || tenantId === UNKNOWN_TENANT) return [];
    try {
      const { depth } = await this.env.TENANT_QUEUE.getByName(tenantId).snapshot();
      const at = { startAt: now, touchedAt: now };
      return [{ instrument: "gateway.queue.depth", labels: {}, sum: depth, buckets: [], ...at }];
    } catch {
      return [];
    }
  }
}

/** Undefined when a setting is wrong, which the Worker reports on every request. */
function settingsOf(env: Env): Settings | undefined {
  try {
    return readSettings(env);
  } catch {
    return undefined;
  }
}

const SEND_PORTS = {
  fetch: (url: string, init: RequestInit): Promise<Response> => fetch(url, init),
  clock: (): number => Date.now(),
  sleep: (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms)),
  random: (): number => Math.random(),
  timeoutSignal: (ms: number): AbortSignal => AbortSignal.timeout(ms),
};
