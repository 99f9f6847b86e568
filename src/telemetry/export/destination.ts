/**
 * From a tenant's record, or the operator's settings, to a destination that traces can be sent to: its endpoint, its
 * headers, and how much of the content it may have. Pure; called by tracing.ts and trace-outbox.ts.
 */

import type { Settings } from "../../config.ts";
import { refuseUrl } from "../../runtime/public-url.ts";
import type { ClosedDestination, OpenDestination } from "../../tenants/records/open-records.ts";
import { lesserMode, type ContentMode } from "../content/content.ts";
import { tracesUrl, type Destination } from "./otlp-send.ts";
import { OPERATOR_NAME } from "./outbox-port.ts";
import { PRESETS, type PresetName } from "../../tenants/records/destination-presets.ts";

export interface TraceDestination extends Destination {
  readonly preset: PresetName;
  /** What it gets: never more than its tenant and the deployment allow. */
  readonly content: ContentMode;
}

/** A destination that can't be sent to; `fault` is a short word for counters. */
export interface UnusableDestination {
  readonly name: string;
  readonly fault: string;
}

type Rules = Pick<Settings, "allowPrivateUpstreams" | "isContentAllowed">;

/** `tenantContent` is the tenant's own `tracing.content`. */
export function toDestination(
  opened: OpenDestination | ClosedDestination,
  tenantContent: ContentMode,
  rules: Rules,
): TraceDestination | UnusableDestination {
  const { name } = opened;
  if ("fault" in opened) return { name, fault: opened.fault };
  const { preset, gzip } = opened;
  const { endpoint: presetEndpoint, extraHeaders } = PRESETS[preset];
  const endpoint = opened.endpoint ?? presetEndpoint;
  if (endpoint === undefined) return { name, fault: "no_endpoint" };
  // Asked again before each export: the record may be older than the deployment's rules.
  const refusal = refuseUrl(endpoint, { allowPrivate: rules.allowPrivateUpstreams });
  if (refusal !== undefined) return { name, fault: "endpoint_refused" };
  return {
    name,
    preset,
    gzip,
    url: tracesUrl(endpoint),
    headers: { ...extraHeaders, ...opened.headers },
    content: lesserMode(opened.content, allowedContent(tenantContent, rules)),
  };
}

/** What a tenant's store and destinations may have at most. */
export function allowedContent(
  tenantContent: ContentMode,
  { isContentAllowed }: Pick<Rules, "isContentAllowed">,
): ContentMode {
  return isContentAllowed ? tenantContent : "off";
}

/** Where every trace goes, without any content: the operator's view is of the gateway, not of what clients say. */
export function operatorDestination({
  otlpEndpoint,
  otlpHeaders,
}: Pick<Settings, "otlpEndpoint" | "otlpHeaders">): TraceDestination | undefined {
  if (otlpEndpoint === undefined) return undefined;
  return {
    name: OPERATOR_NAME,
    preset: "otlp",
    url: tracesUrl(otlpEndpoint),
    headers: otlpHeaders,
    gzip: false,
    content: "off",
  };
}
