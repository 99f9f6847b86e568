/**
 * The Durable Object of one tenant's queue: open RPCs for those who wait, one timer while anybody does, one packed
 * checkpoint row. Which request goes when is decided by admission.ts; who calls is client.ts, and the directory.
 */

import { DurableObject } from "cloudflare:workers";
import { createAdmission, type Admission } from "./admission.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type {
  AdmissionAnswer,
  AdmissionAsk,
  Limits,
  QueueRpc,
  QueueSnapshot,
  RenewAnswer,
  Settlement,
} from "./protocol.ts";
import { createSteadyClock } from "./steady-clock.ts";

const CHECKPOINT_KEY = "checkpoint";
const CONFIG_KEY = "config";

/** A timer keeps the object alive and billed, so what may be saved later than this waits for the next call. */
const MAX_SAVE_DELAY_MS = 1000;

interface Config {
  readonly version: number;
  readonly limits: Limits;
}

/** An `admit` that waits, and all its repetitions. */
type OpenCall = PromiseWithResolvers<AdmissionAnswer>;

export class TenantQueue extends DurableObject<Env> implements QueueRpc {
  readonly #admission: Admission;
  readonly #now: () => number;
  readonly #open = new Map<string, OpenCall>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #saveTimer: ReturnType<typeof setTimeout> | undefined;
  #savedAt = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const checkpoint = ctx.storage.kv.get<Checkpoint>(CHECKPOINT_KEY);
    const config = ctx.storage.kv.get<Config>(CONFIG_KEY);
    this.#now = createSteadyClock(() => Date.now(), checkpoint?.at);
    const now = this.#now();
    this.#admission = createAdmission(now, checkpoint);
    if (config !== undefined) this.#admission.setLimits(config.version, config.limits, now);
  }

  admit(ask: AdmissionAsk): Promise<AdmissionAnswer> {
    const now = this.#now();
    const answer = this.#admission.admit(ask, now);
    this.#follow(now);
    return answer === undefined ? this.#openCall(ask.requestId).promise : Promise.resolve(answer);
  }

  async settle(settlements: readonly Settlement[]): Promise<void> {
    const now = this.#now();
    this.#admission.settle(settlements, now);
    this.#follow(now);
  }

  async cancel(requestId: string): Promise<void> {
    const now = this.#now();
    this.#admission.cancel(requestId, now);
    this.#follow(now);
  }

  async renew(leaseIds: readonly string[]): Promise<RenewAnswer> {
    const now = this.#now();
    const answer = this.#admission.renew(leaseIds, now);
    this.#follow(now);
    return answer;
  }

  async snapshot(): Promise<QueueSnapshot> {
    const now = this.#now();
    const snapshot = this.#admission.snapshot(now);
    this.#follow(now);
    return snapshot;
  }

  /** Saved at once: the caller counts on it. */
  async configChanged(version: number, limits: Limits): Promise<void> {
    const now = this.#now();
    if (this.#admission.setLimits(version, limits, now))
      this.ctx.storage.kv.put<Config>(CONFIG_KEY, { version, limits });
    this.#follow(now);
  }

  async configVersion(): Promise<number> {
    return this.#admission.configVersion();
  }

  /** When each key was last used, ms since the epoch: of the last thousand keys, exact to a minute over restarts. */
  async lastUsed(): Promise<Record<string, number>> {
    return this.#admission.lastUsed();
  }

  /** Does what has fallen due. Called by the timer, and by tests that have moved the clock. */
  async wake(): Promise<void> {
    this.#timerAt = Infinity;
    const now = this.#now();
    this.#admission.expire(now);
    this.#follow(now);
  }

  #openCall(requestId: string): OpenCall {
    const known = this.#open.get(requestId);
    if (known !== undefined) return known;
    const call: OpenCall = Promise.withResolvers();
    this.#open.set(requestId, call);
    return call;
  }

  /** After each change: answers who is let in, sets the timer, sees to the checkpoint. */
  #follow(now: number): void {
    for (const { requestId, answer } of this.#admission.takeWakeUps()) {
      this.#open.get(requestId)?.resolve(answer);
      this.#open.delete(requestId);
    }
    this.#setTimer(now);
    this.#planSave(now);
  }

  #setTimer(now: number): void {
    const wakeAt = this.#admission.nextWakeAt();
    if (wakeAt === this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = wakeAt;
    if (wakeAt !== Infinity) this.#timer = setTimeout(() => this.wake(), Math.max(0, wakeAt - now));
  }

  /** The row is written after the answer has left, at most once a second. */
  #planSave(now: number): void {
    if (this.#saveTimer !== undefined) return;
    const dueInMs = this.#savedAt + this.#admission.staleAfterMs() - now;
    if (dueInMs <= MAX_SAVE_DELAY_MS) this.#saveTimer = setTimeout(() => this.#save(), Math.max(0, dueInMs));
  }

  #save(): void {
    this.#saveTimer = undefined;
    this.#savedAt = this.#now();
    this.ctx.storage.kv.put(CHECKPOINT_KEY, this.#admission.checkpoint(this.#savedAt));
  }
}
