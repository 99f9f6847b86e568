/**
 * What an upstream kind must be able to do. Pure: no fetch, no clock, no env. A provider is one file (or one row of
 * data), a fixtures folder and a test; see registry.ts for the list.
 */

import type { ModelPrice } from "../pricing/price-finder.ts";
import type { ChatRequest, WireName } from "../schema/chat.ts";
import type {
  ProviderAccount,
  ReadUpstreamError,
  Target,
  Translation,
  UpstreamEmbeddingWire,
  UpstreamRequest,
  UpstreamWire,
} from "../wires/upstream-wire.ts";

/** The vendor's own way to count a request's tokens. */
export interface TokenCounter {
  /** For clients of this wire: bytes are forwarded both ways. Undefined for a wire that no client speaks. */
  readonly clientWireName: WireName | undefined;
  /** `translation` is there where `wire` is undefined. */
  toRequest(chat: ChatRequest, target: Target, translation?: Translation): UpstreamRequest;
  /** The count in an answer that no client reads; undefined where there is none. */
  read?(body: unknown): number | undefined;
}

export interface Provider {
  readonly kind: string;
  /** The company, as `gen_ai.provider.name` of the OpenTelemetry conventions. */
  readonly vendor: string;
  /** Where the account's record names no base URL; absent means that the record must. */
  readonly defaultBaseUrl?: string;
  /** What all its models cost, in micro-USD per million tokens, where no price table knows them. */
  readonly listPrice?: ModelPrice;
  /** Answers inside the Worker in place of `fetch`: only `sim` has it. */
  readonly local?: LocalUpstream;
  /** The wires it speaks, the one to translate to first. A client of one of the others is served by that one. */
  readonly wires: readonly [UpstreamWire, ...UpstreamWire[]];
  /** In place of `wires` where the target decides: a cloud that serves several vendors' models, each in their own format. */
  wiresOf?(target: Target): readonly [UpstreamWire, ...UpstreamWire[]];
  /** The same for embeddings; absent where the vendor has none. */
  readonly embeddings?: readonly [UpstreamEmbeddingWire, ...UpstreamEmbeddingWire[]];
  /** In place of `embeddings` where the target decides; undefined leaves it at those. */
  embeddingsOf?(target: Target): readonly [UpstreamEmbeddingWire, ...UpstreamEmbeddingWire[]] | undefined;
  /**
   * The address of an account's calls where its options decide it, else its base URL; undefined for an account that a
   * binding of the Worker serves, which has none.
   */
  baseUrlOf?(account: ProviderAccount): string | undefined;
  /** The address of its files, batches and stored responses, where that is another one. */
  objectBaseUrlOf?(account: ProviderAccount): string;
  /** Absent where tokens can only be estimated. */
  readonly counter?: TokenCounter;
  /** In place of `counter` where the target decides; undefined for one whose tokens can only be estimated. */
  counterOf?(target: Target): TokenCounter | undefined;
  /**
   * The headers, in lower case, that carry the account's credential and its own headers on its native API: for `/proxy`.
   * Absent where a path of the native API can't be called.
   */
  nativeHeaders?(account: ProviderAccount): Readonly<Record<string, string>>;
  /**
   * The handshake of OpenAI's Realtime API, without what makes it a WebSocket's. `query` is the client's own, less the
   * model; `isModelless` says that the session takes none. Absent where the vendor has no API of these events.
   */
  toRealtime?(target: Target, query: URLSearchParams, isModelless: boolean): UpstreamRequest;
  /**
   * Puts a signature or a short-lived token on a request that is ready to go (SigV4, a service account's token). May
   * throw `upstream_auth`.
   */
  sign?(request: UpstreamRequest, target: Target, ports: SignPorts): Promise<UpstreamRequest>;
  /**
   * What a status of 300 or more means (redirects are never followed). Passes the upstream's message on only for the
   * caller's own faults, without the account's secrets. `body` is what came: parsed JSON, text, or undefined.
   */
  readonly toError: ReadUpstreamError;
}

/** What signing needs of the world. */
export interface SignPorts {
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** The wire for a client's wire: its own where the provider speaks it, else the provider's first, with translation. */
export function upstreamWireFor(provider: Provider, clientWireName: WireName, target: Target): UpstreamWire {
  const wires = provider.wiresOf?.(target) ?? provider.wires;
  return wires.find((wire) => wire.clientWireName === clientWireName) ?? wires[0];
}

/** The same for embeddings; undefined where the vendor has none. */
export function upstreamEmbeddingWireFor(
  provider: Provider,
  clientWireName: WireName,
  target: Target,
): UpstreamEmbeddingWire | undefined {
  const wires = provider.embeddingsOf?.(target) ?? provider.embeddings;
  return wires?.find((wire) => wire.clientWireName === clientWireName) ?? wires?.[0];
}

/** Where an account's calls go; undefined where a binding of the Worker serves it. */
export function baseUrlFor(provider: Provider, account: ProviderAccount): string | undefined {
  return provider.baseUrlOf === undefined ? account.baseUrl : provider.baseUrlOf(account);
}

/** A model server inside the Worker: same signature as `fetch`, with the account's options and a clock beside it. */
export type LocalUpstream = (
  request: UpstreamRequest,
  context: {
    readonly options: ProviderAccount["options"];
    readonly signal: AbortSignal;
    readonly sleep: (ms: number) => Promise<void>;
  },
) => Promise<Response>;
