/**
 * What the pipeline is given: one request (`Call`) and the world it may touch (`Deps`). Types only; services.ts makes
 * the real ones.
 */

import type { ConfirmEpoch } from "../cache/epoch.ts";
import type { CacheDirective } from "../cache/policy.ts";
import type { SemanticIndexRpc } from "../cache/semantic-protocol.ts";
import type { CacheStore } from "../cache/store.ts";
import type { GatewayError } from "../errors.ts";
import type { ChatRequest } from "../schema/chat.ts";
import type { ClientWire, ClientEmbeddingWire } from "../wires/client-wire.ts";
import type { InflightRpc } from "../coalescing/protocol.ts";
import type { BudgetAlert, Expense } from "../limits/budget-protocol.ts";
import type { HeartbeatHooks } from "../limits/isolate/heartbeat.ts";
import type { UnqueuedRate, UnqueuedTurn } from "../limits/isolate/unqueued-rate.ts";
import type { AdmissionReply, AdmissionRequest, Lease, Refused, Settlement } from "../limits/protocol.ts";
import type { BodyHolder, BodyMemory } from "../limits/isolate/body-memory.ts";
import type { ModelPrice } from "../pricing/price-finder.ts";
import type { Provider } from "../providers/provider.ts";
import type { ProviderAccount } from "../wires/upstream-wire.ts";
import type { ContentSink } from "../telemetry/content/content.ts";
import type { EarlierTurn, PromptTurn } from "../targets/prompt-turns.ts";
import type { Targets } from "../targets/targets.ts";
import type { RequestTrace } from "../telemetry/trace/trace.ts";
import type { KeyRecord, TenantBundle } from "../tenants/records/records.ts";
import type { UpstreamPorts } from "../upstream/send.ts";
import type { VendorObjectsRpc } from "../vendor-objects/protocol.ts";
import type { RequestFacts } from "./request-facts.ts";
import type { RequestOptions } from "./request-options.ts";

/** One request, checked and authenticated. */
export interface Call {
  readonly chat: ChatRequest;
  readonly clientWire: ClientWire | ClientEmbeddingWire;
  readonly bundle: TenantBundle;
  readonly key: KeyRecord;
  readonly options: RequestOptions;
  readonly cache: CacheDirective;
  readonly requestId: string;
  /** Aborts when the client leaves. Made when it is first asked for: it costs what a cache hit's reading costs. */
  readonly signal: () => AbortSignal;
  readonly headers: Headers;
  readonly trace: RequestTrace;
  readonly facts: RequestFacts;
  /** What the isolate counts for it, also in the calls that are made for a part of it: bytes of bodies, and its turn. */
  readonly holder: BodyHolder & UnqueuedTurn;
  /**
   * Waits without the slot that the request holds, and takes one again. Throws `error` with a true `Retry-After` where it
   * gets none. Absent before its admission.
   */
  readonly pause?: (pause: Pause) => Promise<void>;
  /** A stream's end ends the request: called once by end.ts, after the facts are complete. */
  release(): void;
}

/** A wait between two calls of a request. */
export interface Pause {
  readonly ms: number;
  /** Why the next call has to wait. */
  readonly error: GatewayError;
  /** When the whole request must be over, ms since the epoch. */
  readonly deadlineAt: number;
}

/** A request of any kind, also one that is forwarded without being understood: such a one is never cached. */
export type BareCall = Omit<Call, "clientWire" | "cache"> & Partial<Pick<Call, "clientWire" | "cache">>;

/** Admission to one tenant's queue: limits/isolate/queue-client.ts. */
export interface QueuePort {
  /**
   * Waits as long as the ask allows; throws QueueUnreachable when the object can't be asked. `target` is whom the request
   * is going to call first.
   */
  admit(ask: AdmissionRequest, signal: AbortSignal, target?: string): Promise<AdmissionReply>;
  /** For a request that goes without the object: the refusal by the last known rates, if they are used up. */
  admitAlone(request: AdmissionRequest): Refused | undefined;
  /** Whether the last request of that key and lane was refused, and its `Retry-After` is still to come. */
  isBlocked(request: Pick<AdmissionRequest, "keyId" | "lane">): boolean;
  /**
   * Ends a lease, now or with the isolate's next call: as its admission's `canDeferSettle` allows. Returns the alerts of
   * budgets that this request caused.
   */
  settle(settlement: Settlement, canBeLate: boolean): Promise<readonly BudgetAlert[]>;
  /** Books money that was spent outside of any lease. */
  spend(expense: Expense): void;
  /** Renews a lease until the returned function is called. */
  keepAlive(lease: Lease, hooks?: HeartbeatHooks): () => void;
}

export interface Deps extends UpstreamPorts {
  readonly random: () => number;
  /** The bytes of bodies that this isolate holds, of all requests. */
  readonly bodies: BodyMemory;
  /** The requests that are answered without the queue. */
  readonly unqueued: Pick<UnqueuedRate, "giveBack">;
  readonly queue: QueuePort;
  readonly cacheStore: CacheStore;
  /** Where prompts and answers are left for the trace; absent unless the tenant wants them there. */
  readonly content?: ContentSink;
  readonly confirmEpoch: ConfirmEpoch;
  /** Where equal requests meet: coalescing/coalescing-client.ts. Its calls reject when the object can't be reached. */
  readonly flights: InflightRpc;
  /** The tenant's index of stored answers by meaning; a fresh stub each time. Its calls reject when it can't be reached. */
  semanticIndex(): SemanticIndexRpc;
  /** Calls the tenant's register of what vendors keep for it. Rejects when the object can't be reached. */
  vendorObjects<T>(call: (register: VendorObjectsRpc) => Promise<T>): Promise<T>;
  /** All that is known of the tenant's targets. */
  readonly targets: Targets;
  providerOf(kind: string): Provider;
  /** Opens an account's credential; throws when it can't be opened. */
  accountOf(bundle: TenantBundle, name: string): Promise<ProviderAccount>;
  priceOf(kind: string, model: string): ModelPrice | undefined;
  /** Lets work go on after the response: `waitUntil`. */
  defer(work: Promise<unknown>): void;
  /** Keeps what an answer left in the vendor's prompt cache, and gives the conversation's answer before it. */
  notePrompt(turn: PromptTurn): Promise<EarlierTurn | undefined>;
  /** The queue object named a version of the tenant's records. */
  noteVersion(version: number): void;
  /** The tenant's records as they are now, for a refusal that the isolate's copy may be too old for. */
  reload(): Promise<TenantBundle | undefined>;
}

/** An answer on its way out. What follows from its end is end.ts. */
export interface Generation {
  readonly contentType: string;
  readonly body: string | ReadableStream<Uint8Array>;
  /** The same as a whole `body`, where it exists in UTF-8 already; never to be written to. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** Of a stream: whether it came to its end; resolves when it is over. */
  readonly isComplete?: Promise<boolean>;
  /** Of a vendor's own API: the head that the client gets. An empty text as `body` is none. */
  readonly native?: { readonly status: number; readonly headers: Readonly<Record<string, string>> };
  /** The client's end of a session, in place of a body. */
  readonly socket?: WebSocket;
}
