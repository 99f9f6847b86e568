/**
 * The Durable Object that coalesces equal requests of one tenant: the only place where one request may wait for another
 * (a Worker's request may not await another's promise). It decides nothing itself: the rules are in single-flight.ts.
 */

import { DurableObject } from "cloudflare:workers";
import { eraseObject } from "../runtime/erase-object.ts";
import { createAnswerKeeper, type SqlAnswerKeeper } from "./answer-keeper.ts";
import { createSingleFlight } from "./single-flight.ts";
import type { InflightRpc, JoinRequest, Joined } from "./protocol.ts";

const SWEEP_MS = 60_000;

export class Inflight extends DurableObject<Env> implements InflightRpc {
  readonly #keeper: SqlAnswerKeeper;
  readonly #board: InflightRpc;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#keeper = createAnswerKeeper(
      ctx.storage.sql,
      () => Date.now(),
      (at) => void this.#wakeAt(at),
    );
    this.#board = createSingleFlight({
      keeper: this.#keeper,
      newId: () => crypto.randomUUID(),
      startTimer(ms, run) {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
    });
  }

  join(ask: JoinRequest): Promise<Joined> {
    return this.#board.join(ask);
  }

  lead(
    key: string,
    flightId: string,
    progress: ReadableStream<Uint8Array>,
    own?: Pick<JoinRequest, "requestId" | "failureText">,
  ): Promise<ReadableStream<Uint8Array> | null> {
    return this.#board.lead(key, flightId, progress, own);
  }

  leave(key: string, requestId: string): Promise<boolean> {
    return this.#board.leave(key, requestId);
  }

  hasFailed(key: string, flightId: string, requestId: string): Promise<boolean> {
    return this.#board.hasFailed(key, flightId, requestId);
  }

  /** Of a tenant that was deleted. */
  erase(): Promise<void> {
    return eraseObject(this.ctx);
  }

  override async alarm(): Promise<void> {
    const next = this.#keeper.expire();
    if (next !== undefined) await this.#wakeAt(next);
  }

  /** One alarm for all kept answers: when it runs, it is set for the next one. */
  async #wakeAt(at: number): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) !== null) return;
    // Answers that expire within a minute are deleted together.
    await this.ctx.storage.setAlarm(Math.ceil(at / SWEEP_MS) * SWEEP_MS);
  }
}
