/**
 * A client's own credential at the vendor (an agent's subscription), used in place of the account's where its record allows that. It lives
 * in the request's headers alone: nothing stores or logs it, and errors are scrubbed of it as of the account's own.
 */

import { GatewayError } from "../../errors.ts";
import { KEY_HEADER } from "../../tenants/key-format.ts";
import type { ProviderAccount } from "../../wires/upstream-wire.ts";

const CREDENTIAL_HEADER = "x-headgate-upstream-authorization";

/**
 * The account with the client's credential as `authorization`; the same object where it has none to send. Throws `invalid_request` where
 * neither has one.
 */
export function withClientCredential(account: ProviderAccount, headers: Headers): ProviderAccount {
  if (account.passthroughAuth !== true) return account;
  const credential =
    headers.get(CREDENTIAL_HEADER) ?? (headers.has(KEY_HEADER) ? headers.get("authorization") : null);
  if (credential !== null) {
    const { apiKey: _, ...rest } = account;
    return { ...rest, headers: { ...account.headers, authorization: credential } };
  }
  if (account.apiKey !== undefined || Object.keys(account.headers).length > 0) return account;
  const message =
    `'${account.name}' is called with the client's own credential. Send it as '${CREDENTIAL_HEADER}', ` +
    `or send the gateway key as '${KEY_HEADER}' and the credential as 'authorization'.`;
  throw new GatewayError("invalid_request", message, { param: CREDENTIAL_HEADER });
}

/** What says something about the client's account and nothing about the target: other clients' calls may go on. */
export function isOfClientsAccount({ code, details }: GatewayError): boolean {
  return code === "upstream_auth" || code === "upstream_rate_limited" || details.upstreamStatus === 429;
}
