/** The admin plane's side of its tokens: makes them, and finds out who sent one. Each is shown once, and only its digest is stored. */

import { createBoundedMap } from "../../runtime/bounded-map.ts";
import type { TokensApi, WriteAsk } from "./directory-api.ts";
import type { DirectoryCalls } from "./directory-calls.ts";
import { generateId, generateToken, hashKey, isWellFormedToken, type RandomBytes } from "../key-format.ts";
import type { LookupBudget } from "../lookup-budget.ts";
import { parseToken } from "../records/parse-record.ts";
import { maskSecret } from "../records/sealing.ts";
import type { AdminCaller } from "../admin/roles.ts";
import { viewToken } from "../admin/token-record.ts";

interface TokenClientDeps {
  readonly randomBytes: RandomBytes;
  readonly now: () => number;
}

export function createTokenClient(
  { call, change }: DirectoryCalls,
  { randomBytes, now }: TokenClientDeps,
  asking: () => WriteAsk,
): TokensApi {
  return {
    async create(body) {
      const input = parseToken(body, now());
      const token = generateToken(randomBytes);
      const hash = await hashKey(token);
      const record = {
        id: generateId("tok_", randomBytes),
        ...input,
        createdAt: new Date(now()).toISOString(),
        masked: maskSecret(token),
      };
      await change((directory) => directory.addToken(record, hash, asking()));
      return { ...viewToken(record, null), token };
    },
    async list(page) {
      return call((directory) => directory.listTokens(page));
    },
    async delete(id) {
      await change((directory) => directory.deleteToken(id, asking()));
    },
  };
}

/** Valid tokens of which an isolate knows that they were valid lately. */
const MAX_KNOWN = 1000;

/**
 * Finds who a token belongs to: undefined for an unknown, revoked or expired one. Each call asks the directory, so that a
 * revoked token stops at once; only tokens that the isolate has not met are bounded, by `lookups`.
 */
export function createTokenFinder(
  { call }: Pick<DirectoryCalls, "call">,
  lookups: Pick<LookupBudget, "beforeDirectory">,
): (token: string) => Promise<AdminCaller | undefined> {
  const known = createBoundedMap<string, true>(MAX_KNOWN);
  return async function findCaller(token) {
    if (!isWellFormedToken(token)) return undefined;
    const hash = await hashKey(token);
    if (known.get(hash) === undefined) lookups.beforeDirectory();
    const caller = await call((directory) => directory.useToken(hash));
    if (caller === undefined) known.delete(hash);
    else known.set(hash, true);
    return caller;
  };
}
