/**
 * The Durable Object of one tenant's queue: open RPCs for waiting requests, one timer while any waits, one packed
 * checkpoint row, an alarm for leases whose Worker died. It decides nothing itself: the rules are in queue-machine.ts.
 */

import { DurableObject } from "cloudflare:workers";
import { eraseObject } from "../../runtime/erase-object.ts";
import { directoryOf, recordAbandoned } from "./abandoned-recorder.ts";
import { type AlertTeller, createAlertTeller, tellAlert } from "./alert-teller.ts";
import type { TenantAlert } from "../alert-protocol.ts";
import { createQueueMachine, type QueueMachine } from "../queue/queue-machine.ts";
import { createCheckpointRows, type CheckpointRows } from "./checkpoint-rows.ts";
import { createLiveView, type LiveView } from "./live-view.ts";
import type {
  AdmissionReply,
  AdmissionRequest,
  IsolateUpdates,
  Limits,
  QueueRpc,
  QueueSnapshot,
  RenewReply,
  SettleReply,
  Settlement,
  Overrides,
} from "../protocol.ts";
import { createPromptTurnsStore, type PromptTurnsStore } from "./prompt-turns-store.ts";
import { createSaveSchedule, type SaveSchedule } from "./save-schedule.ts";
import { createSteadyClock } from "./steady-clock.ts";
import type { EarlierTurn, PromptTurn } from "../../targets/prompt-turns.ts";
import { createUsageRows } from "./usage-rows.ts";
import { createUsageBook, type UsageBook, type UsageTable } from "../usage/usage-book.ts";
import type { UsageAsk, UsageRow } from "../usage-protocol.ts";
import { startRealTimer } from "../../runtime/waits.ts";

const CONFIG_KEY = "config";
const OVERRIDES_KEY = "orders";

/** An alarm's row is written at most this often. */
const MIN_ALARM_GAP_MS = 5000;

interface Config {
  readonly version: number;
  readonly limits: Limits;
}

/** An `admit` that waits, and all its repetitions. */
type PendingReply = PromiseWithResolvers<AdmissionReply>;

export class TenantQueue extends DurableObject<Env> implements QueueRpc {
  readonly #machine: QueueMachine;
  readonly #now: () => number;
  readonly #pending = new Map<string, PendingReply>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #storedVersion = -1;
  #alarmAt: number | undefined;
  readonly #live: LiveView;
  readonly #alerts: AlertTeller;
  readonly #rows: CheckpointRows;
  readonly #saves: SaveSchedule;
  readonly #prompts: PromptTurnsStore;
  readonly #usageRows: UsageTable;
  readonly #usage: UsageBook;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#rows = createCheckpointRows(ctx.storage.kv);
    this.#prompts = createPromptTurnsStore(ctx.storage.kv);
    const checkpoint = this.#rows.read();
    const config = ctx.storage.kv.get<Config>(CONFIG_KEY);
    this.#now = createSteadyClock(() => Date.now(), checkpoint?.at);
    const now = this.#now();
    this.#usageRows = createUsageRows(ctx.storage.sql);
    this.#usage = createUsageBook(this.#usageRows.read("live", "", 0, Infinity));
    this.#machine = createQueueMachine(now, checkpoint, this.#usage);
    this.#saves = createSaveSchedule({
      machine: this.#machine,
      now: this.#now,
      startTimer: startRealTimer,
      write: (at) => this.#save(at),
    });
    if (config !== undefined) {
      this.#machine.setLimits(config.version, config.limits, now);
      this.#storedVersion = config.version;
    }
    const overrides = ctx.storage.kv.get<Overrides>(OVERRIDES_KEY);
    if (overrides !== undefined) this.#machine.restoreOverrides(overrides, now);
    this.#alerts = createAlertTeller({
      pending: () => this.#machine.pendingAlerts(),
      noteHandedOver: (id) => this.#machine.noteAlertHandedOver(id),
      tell: (alert) => this.#tellAlert(alert),
      now: () => this.#now(),
      defer: (work) => ctx.waitUntil(work),
      onDone: () => this.#saves.changed(this.#now()),
    });
    this.#live = createLiveView(ctx, {
      snapshot: () => this.#machine.snapshot(this.#now()),
      isTokenValid: (id) => directoryOf(env).isTokenValid(id),
      now: () => Date.now(),
    });
  }

  admit(ask: AdmissionRequest): Promise<AdmissionReply> {
    const now = this.#now();
    const answer = this.#machine.admit(ask, now);
    this.#follow(now);
    return answer === undefined ? this.#pendingReply(ask.requestId).promise : Promise.resolve(answer);
  }

  async settle(settlements: readonly Settlement[], updates?: IsolateUpdates): Promise<SettleReply> {
    const now = this.#now();
    const state = this.#machine.settle(settlements, now, updates);
    this.#follow(now);
    return state;
  }

  async cancel(requestId: string): Promise<void> {
    const now = this.#now();
    this.#machine.cancel(requestId, now);
    this.#follow(now);
  }

  async renew(leaseIds: readonly string[], isStrict = false): Promise<RenewReply> {
    const now = this.#now();
    const answer = this.#machine.renew(leaseIds, now, isStrict);
    this.#follow(now);
    return answer;
  }

  async snapshot(): Promise<QueueSnapshot> {
    const now = this.#now();
    const snapshot = this.#machine.snapshot(now);
    this.#follow(now);
    return snapshot;
  }

  /** Saved at once: the caller counts on it. */
  async configChanged(version: number, limits: Limits): Promise<void> {
    const now = this.#now();
    this.#machine.setLimits(version, limits, now);
    // A request may have brought the version before: what counts is the stored one.
    if (version >= this.#storedVersion) {
      this.ctx.storage.kv.put<Config>(CONFIG_KEY, { version, limits });
      this.#storedVersion = version;
    }
    this.#follow(now);
  }

  async configVersion(): Promise<number> {
    return this.#machine.configVersion();
  }

  async notePrompt(turn: PromptTurn): Promise<EarlierTurn | undefined> {
    return this.#prompts.note(turn, this.#now());
  }

  async usage(ask: UsageAsk): Promise<readonly UsageRow[] | undefined> {
    return this.#usage.read(this.#usageRows, ask, this.#now());
  }

  async raiseLimits(limits: Partial<Limits>, forMs: number): Promise<QueueSnapshot> {
    const now = this.#now();
    this.#machine.raise(limits, now + forMs, now);
    return this.#applyOverrides(now);
  }

  async drain(forMs: number, waiting: "finish" | "drop"): Promise<QueueSnapshot> {
    const now = this.#now();
    this.#machine.drain(now + forMs, waiting, now);
    return this.#applyOverrides(now);
  }

  /** The live view. */
  override async fetch(request: Request): Promise<Response> {
    return this.#live.open(request);
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close();
    this.#live.closed();
  }

  override webSocketError(): void {
    this.#live.closed();
  }

  /** Of a tenant that was deleted. */
  erase(): Promise<void> {
    return eraseObject(this.ctx);
  }

  /** A lease may have expired while no call came. */
  override async alarm(): Promise<void> {
    this.#alarmAt = undefined;
    const now = this.#now();
    this.#machine.expire(now);
    this.#follow(now);
    this.#planAlarm(now);
  }

  /** When each key was last used, ms since the epoch: of the last thousand keys, exact to a minute over restarts. */
  async lastUsed(): Promise<Record<string, number>> {
    return this.#machine.lastUsed();
  }

  /** Does everything that is due. The timer's callback; public for tests that move the clock. */
  async wake(): Promise<void> {
    this.#timerAt = Infinity;
    const now = this.#now();
    this.#machine.expire(now);
    this.#follow(now);
  }

  #pendingReply(requestId: string): PendingReply {
    const known = this.#pending.get(requestId);
    if (known !== undefined) return known;
    const pending: PendingReply = Promise.withResolvers();
    this.#pending.set(requestId, pending);
    return pending;
  }

  /** Overrides survive a restart: they are saved at once. */
  #applyOverrides(now: number): QueueSnapshot {
    this.ctx.storage.kv.put<Overrides>(OVERRIDES_KEY, this.#machine.overrides);
    const snapshot = this.#machine.snapshot(now);
    this.#follow(now);
    return snapshot;
  }

  /** After each change: answers the requests that were admitted, sets the timer, plans the checkpoint. */
  #follow(now: number): void {
    for (const { requestId, answer } of this.#machine.takeWakeUps()) {
      this.#pending.get(requestId)?.resolve(answer);
      this.#pending.delete(requestId);
    }
    this.#setTimer(now);
    this.#saves.changed(now);
    this.#recordAbandoned(now);
    this.#alerts.follow(now);
    this.#live.changed();
  }

  #setTimer(now: number): void {
    const wakeAt = this.#machine.nextWakeAt();
    if (wakeAt === this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = wakeAt;
    if (wakeAt !== Infinity) this.#timer = setTimeout(() => this.wake(), Math.max(0, wakeAt - now));
  }

  #save(now: number): void {
    try {
      const checkpoint = this.#machine.checkpoint(now);
      this.ctx.storage.transactionSync(() => {
        this.#rows.write(checkpoint);
        this.#usage.save(this.#usageRows, now);
      });
      this.#usage.noteSaved(now);
      this.#prompts.save(now);
    } catch (thrown) {
      // What was to be saved stays due, and the next save tries again; the answer that caused this one is still right.
      this.#machine.noteUnsaved();
      console.error("The checkpoint of a tenant's queue could not be written.", thrown);
      return;
    }
    this.#planAlarm(now);
  }

  /**
   * While leases or alerts are saved an alarm is set, so that a lease whose Worker died is noticed, and an alert told, even
   * when no call comes.
   */
  #planAlarm(now: number): void {
    const dueAt = Math.min(this.#machine.nextExpiryAt(), this.#alerts.dueAt());
    if (this.#alarmAt !== undefined || dueAt === Infinity) return;
    this.#alarmAt = Math.max(dueAt, now + MIN_ALARM_GAP_MS);
    void this.ctx.storage.setAlarm(this.#alarmAt);
  }

  #recordAbandoned(now: number): void {
    const entries = this.#machine.takeAbandoned();
    const tenantId = this.ctx.id.name;
    if (entries.length === 0 || tenantId === undefined) return;
    const retention = this.#machine.traceRetention();
    this.ctx.waitUntil(recordAbandoned(this.env, tenantId, entries, retention, now));
  }

  async #tellAlert(alert: TenantAlert): Promise<void> {
    const tenantId = this.ctx.id.name;
    if (tenantId === undefined) return;
    const { TENANT_METRICS, TRACE_OUTBOX } = this.env;
    const [metrics, outbox] = [TENANT_METRICS.getByName(tenantId), TRACE_OUTBOX.getByName(tenantId)];
    await tellAlert(tenantId, alert, { metrics, outbox, directory: directoryOf(this.env) });
  }
}
