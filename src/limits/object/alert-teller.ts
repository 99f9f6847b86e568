/**
 * Tells of budgets' alerts: the tenant's metrics, the audit and the webhook hear of each by its id, and so once, however
 * often a failure or a restart repeats it. An alert stays in the queue's checkpoint until all of them have it.
 */

import { encodeText, sha256Hex } from "../../bytes/digest.ts";
import { usd } from "../../pricing/cost.ts";
import { type TraceOutboxPort, WEBHOOK_NAME } from "../../telemetry/export/outbox-port.ts";
import type { MetricsPort } from "../../telemetry/metrics/metrics-port.ts";
import { readBundle } from "../../tenants/bundle.ts";
import type { DirectoryRpc } from "../../tenants/directory/directory-api.ts";
import type { Incident, TenantAlert } from "../alert-protocol.ts";
import type { BudgetAlert } from "../budget-protocol.ts";

/** After a failure; the alert is durable meanwhile. */
const RETRY_MS = 10_000;
/** Of a digest in hex: a webhook's id may hold no dot, as names and shares do. */
const MESSAGE_ID_CHARS = 32;

export interface AlertTeller {
  /** Begins to tell what is due; returns at once. */
  follow(now: number): void;
  /** When `follow` has to be called next: ms since the epoch, Infinity while nothing is to be told. */
  dueAt(): number;
}

export interface AlertTellerDeps {
  pending(): readonly TenantAlert[];
  noteHandedOver(id: string): void;
  /** Rejects where one of those who hear of it could not be reached. */
  readonly tell: (alert: TenantAlert) => Promise<void>;
  readonly now: () => number;
  readonly defer: (work: Promise<void>) => void;
  /** What was pending has changed, or is due later. */
  onDone(): void;
}

export function createAlertTeller(deps: AlertTellerDeps): AlertTeller {
  let isTelling = false;
  let nextAt = 0;

  async function tellAll(): Promise<void> {
    try {
      for (const alert of deps.pending()) {
        await deps.tell(alert);
        deps.noteHandedOver(alert.id);
      }
    } catch {
      nextAt = deps.now() + RETRY_MS;
    }
    isTelling = false;
    deps.onDone();
  }

  return {
    follow(now) {
      if (isTelling || now < nextAt || deps.pending().length === 0) return;
      isTelling = true;
      deps.defer(tellAll());
    },
    dueAt: () => (deps.pending().length === 0 ? Infinity : nextAt),
  };
}

export interface AlertPorts {
  readonly metrics: Pick<MetricsPort, "add">;
  readonly directory: Pick<DirectoryRpc, "noteOrder" | "readBundle">;
  readonly outbox: Pick<TraceOutboxPort, "push">;
}

/** Tells of one alert. A tenant that was deleted meanwhile has none. */
export async function tellAlert(tenantId: string, alert: TenantAlert, ports: AlertPorts): Promise<void> {
  const { directory, outbox } = ports;
  const bundle = await readBundle(directory, tenantId);
  if (bundle === undefined) return;
  const { id } = alert;
  const about = "type" in alert ? aboutIncident(alert) : aboutBudget(alert);
  if (!("type" in alert)) await ports.metrics.add(tenantId, [{ id, series: [seriesOf(alert)] }]);
  await directory.noteOrder(tenantId, about.action, about.subject, { actor: "gateway", isOnce: true });
  const { webhook } = bundle.tenant.alerts ?? {};
  if (webhook === undefined) return;
  const messageId = `evt_${(await sha256Hex(`${tenantId} ${id}`)).slice(0, MESSAGE_ID_CHARS)}`;
  const message =
    webhook.format === "slack"
      ? { text: slackText(tenantId, about) }
      : {
          id: messageId,
          type: about.type,
          timestamp: isoOf(alert.at),
          data: { tenant: tenantId, ...about.data },
        };
  const body = encodeText(JSON.stringify(message));
  await outbox.push({
    id,
    isolate: `queue ${tenantId}`,
    tenantId,
    counts: { [WEBHOOK_NAME]: { enqueued: 1, delivered: 0, handedOver: 1, dropped: {}, retries: 0 } },
    batch: { destination: WEBHOOK_NAME, traces: 1, body, isGzip: false, content: "off" },
  });
}

/** What an alert says: in the audit, and to the webhook (src/docs/limits.md). */
interface About {
  readonly action: string;
  readonly subject: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

function aboutIncident({ type, subject, requestId, traceId, data }: Incident): About {
  return {
    action: type,
    subject,
    type,
    data: { ...data, requestId: requestId ?? null, traceId: traceId ?? null },
  };
}

/** https://api.slack.com/messaging/webhooks (seen 2026-12); its three control characters are escaped. */
function slackText(tenantId: string, { type, subject, data }: About): string {
  const trace = typeof data["traceId"] === "string" ? `\nTrace ${data["traceId"]}` : "";
  const text = `Headgate, tenant ${tenantId}: ${type}\n${subject}${trace}`;
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function seriesOf(alert: BudgetAlert) {
  const { at } = alert;
  const labels = {
    "gateway.budget.holder": alert.keyId === undefined ? "tenant" : "key",
    "gateway.budget.threshold": String(alert.threshold),
  };
  return {
    instrument: "gateway.budget.alerts" as const,
    labels,
    sum: 1,
    buckets: [],
    startAt: at,
    touchedAt: at,
  };
}

/** What the audit says: another text for each holder, budget, period and threshold. */
function subjectOf({ keyId = "tenant", threshold, budget, endsAt }: BudgetAlert): string {
  const percent = Math.round(threshold * 100);
  return `${keyId} ${percent}% of $${usd(budget.microUsd)} for the ${budget.period} until ${isoOf(endsAt)}`;
}

function aboutBudget(alert: BudgetAlert): About {
  const { keyId, requestId, traceId, threshold, budget, spentMicroUsd, endsAt } = alert;
  return {
    action: "budget.alert",
    subject: subjectOf(alert),
    type: "budget.threshold_reached",
    data: {
      keyId: keyId ?? null,
      threshold,
      spentUsd: usd(spentMicroUsd),
      budgetUsd: usd(budget.microUsd),
      period: budget.period,
      periodEndsAt: isoOf(endsAt),
      onExceeded: budget.onExceeded,
      requestId,
      traceId: traceId ?? null,
    },
  };
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}
