/**
 * What a client's wire format must be able to do. Pure. Wire types (snake_case, as on the wire) stay inside the
 * dialect's own file.
 */

import type { ChatRequest, Dialect } from "../chat.ts";
import type { GatewayError } from "../errors.ts";
import type { ServerSentEvent } from "../sse.ts";

export interface DialectCodec {
  readonly name: Dialect;
  /**
   * Reads and checks a request body; throws `invalid_request` that names the field. `defaultModel` is what a body
   * without a model asks for (a tenant's default route); without it such a body is refused.
   */
  parseRequest(bodyText: string, defaultModel?: string): ChatRequest;
  errorBody(error: GatewayError): unknown;
  /** What a stream says when it fails after its first byte; the end mark never follows it. */
  errorEvent(error: GatewayError): string;
  /** A stored stream as one whole body: what a non-stream client gets of it. Throws `upstream_malformed`. */
  assemble(events: readonly ServerSentEvent[]): string;
  /** A stored whole body as a stream: what `chat`, a stream client, gets of it. Throws `upstream_malformed`. */
  explode(bodyText: string, chat: ChatRequest): string;
}
