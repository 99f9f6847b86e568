/**
 * A trace destination made from a tenant's record or the operator's settings: its endpoint, its headers, and
 * how much content it may have. Pure; sends nothing.
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
  /** How much content it gets: never more than its tenant and the deployment allow. */
  readonly content: ContentMode;
}

/** A destination that can't be used; `fault` is a reason for the counters. */
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
  const { endpoint: presetEndpoint, extraHeaders, encoding = "json" } = PRESETS[preset];
  const endpoint = opened.endpoint ?? presetEndpoint;
  if (endpoint === undefined) return { name, fault: "no_endpoint" };
  // Checked before each export: the record may be older than the deployment's rules.
  const refusal = refuseUrl(endpoint, { allowPrivate: rules.allowPrivateUpstreams });
  if (refusal !== undefined) return { name, fault: "endpoint_refused" };
  return {
    name,
    preset,
    gzip,
    encoding: opened.encoding ?? encoding,
    url: tracesUrl(endpoint),
    headers: { ...extraHeaders, ...opened.headers },
    content: lesserMode(opened.content, allowedContent(tenantContent, rules)),
  };
}

/** The most that a tenant's store and destinations may have. */
export function allowedContent(
  tenantContent: ContentMode,
  { isContentAllowed }: Pick<Rules, "isContentAllowed">,
): ContentMode {
  return isContentAllowed ? tenantContent : "off";
}

/** The operator's destination: gets every trace, never any content. */
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
