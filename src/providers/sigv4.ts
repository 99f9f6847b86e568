/**
 * AWS's signature on a request that is ready to go, by `aws4fetch` (decisions/060-aws4fetch.md): nothing of the
 * algorithm is written here.
 */

import { AwsV4Signer } from "aws4fetch";
import type { UpstreamRequest } from "../wires/upstream-wire.ts";

export interface AwsCredential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** `2026-11-25T10:00:00.000Z` as the signature wants it: `20261125T100000Z`. */
const NOT_IN_DATE = /[:-]|\.\d{3}/g;

/** The same request with the signature's headers; `nowMs` is milliseconds since the epoch. */
export async function signAws(
  request: UpstreamRequest,
  { accessKeyId, secretAccessKey, sessionToken }: AwsCredential,
  { service, region }: { readonly service: string; readonly region: string },
  nowMs: number,
): Promise<UpstreamRequest> {
  const { method, url, headers, body } = request;
  const signer = new AwsV4Signer({
    method,
    url,
    headers: { ...headers },
    accessKeyId,
    secretAccessKey,
    service,
    region,
    datetime: new Date(nowMs).toISOString().replace(NOT_IN_DATE, ""),
    ...(sessionToken !== undefined && { sessionToken }),
    ...(body !== undefined && { body }),
  });
  const signed = await signer.sign();
  return { ...request, headers: Object.fromEntries(signed.headers) };
}
