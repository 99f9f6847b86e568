/**
 * Bounds what unknown keys can make an isolate look up: by the client's network, and in total. Only look-ups that
 * find nothing count in the end, so a client with a valid key pays nothing; a key that the isolate knows is not looked up at all. The
 * platform's own limiter, where the deployment has it, counts over all isolates of a location.
 */

import { GatewayError } from "../errors.ts";
import { clientNetwork } from "../runtime/client-network.ts";
import { createTokenBuckets } from "../runtime/token-buckets.ts";
import { orTimeout } from "../runtime/waits.ts";

/** Failures. A client that rolls out a wrong key to a few machines stays below it. */
const NETWORK = { capacity: 30, perSecond: 1, maxNames: 2000 };
const KV = { capacity: 1000, perSecond: 100, maxNames: 1 };
/** There is one directory for all isolates, which answers some 1,000 calls a second. */
const DIRECTORY = { capacity: 50, perSecond: 10, maxNames: 1 };
const ALL = "all";
/** It answers from the machine's own memory; a slow one is not waited for. */
const PLATFORM_TIMEOUT_MS = 100;
/** The platform's limiter does not say when; its shortest period is 10 s. */
const PLATFORM_RETRY_MS = 10_000;

/** Cloudflare's rate limiting binding: https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/ (seen 2026-11). */
export interface PlatformLimiter {
  limit(options: { key: string }): Promise<{ readonly success: boolean }>;
}

export interface LookupBudget {
  /** Before KV is read for a key. Throws `rate_limited` or `overloaded`. `address` is undefined where the client's is not known. */
  beforeKv(address: string | undefined): Promise<void>;
  /** Before the directory is called. Throws `overloaded`. */
  beforeDirectory(): void;
  /** The key was found: what its look-up took is given back. */
  noteFound(place: "kv" | "directory"): void;
  /** No one knows the key, or it is not valid any more. */
  noteFailed(address: string | undefined): void;
}

/** `now` is ms since the epoch. */
export function createLookupBudget(now: () => number, platform?: PlatformLimiter): LookupBudget {
  const networks = createTokenBuckets(NETWORK, now);
  const kv = createTokenBuckets(KV, now);
  const directory = createTokenBuckets(DIRECTORY, now);

  async function isAllowedByPlatform(limiter: PlatformLimiter, network: string): Promise<boolean> {
    try {
      const outcome = await orTimeout(limiter.limit({ key: network }), PLATFORM_TIMEOUT_MS);
      return outcome?.success !== false;
    } catch {
      return true;
    }
  }

  return {
    async beforeKv(address) {
      if (address !== undefined) {
        const network = clientNetwork(address);
        const waitMs = networks.waitMs(network);
        if (waitMs > 0) throw tooManyFromNetwork(waitMs);
        if (platform !== undefined && !(await isAllowedByPlatform(platform, network)))
          throw tooManyFromNetwork(PLATFORM_RETRY_MS);
      }
      const waitMs = kv.take(ALL);
      if (waitMs > 0) throw tooManyInTotal(waitMs);
    },
    beforeDirectory() {
      const waitMs = directory.take(ALL);
      if (waitMs > 0) throw tooManyInTotal(waitMs);
    },
    noteFound(place) {
      kv.giveBack(ALL);
      if (place === "directory") directory.giveBack(ALL);
    },
    noteFailed(address) {
      if (address !== undefined) networks.take(clientNetwork(address));
    },
  };
}

function tooManyFromNetwork(retryAfterMs: number): GatewayError {
  return new GatewayError(
    "rate_limited",
    "Too many keys from this address were not valid. Check the key, then retry later.",
    { retryAfterMs },
  );
}

function tooManyInTotal(retryAfterMs: number): GatewayError {
  return new GatewayError("overloaded", "Too many unknown keys are being checked. Retry in a moment.", {
    retryAfterMs,
  });
}

/** The deployment's binding, where it has one. */
export function platformLimiterOf(binding: unknown): PlatformLimiter | undefined {
  return isPlatformLimiter(binding) ? binding : undefined;
}

function isPlatformLimiter(binding: unknown): binding is PlatformLimiter {
  return (
    typeof binding === "object" && binding !== null && typeof Reflect.get(binding, "limit") === "function"
  );
}
