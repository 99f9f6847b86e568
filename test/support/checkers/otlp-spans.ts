// What an OTLP/JSON body says, flattened for tests: plain attributes, links and events. Reads only the shape; whether a body keeps to
// the protocol is otlp-proto.ts's business.
import type { IncomingHttpHeaders } from "node:http";

/** One POST as it came in. */
export type ReceivedExport = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The body as sent, compressed or not. */
  readonly wireBytes: Buffer;
  /** The body after `content-encoding`. */
  readonly text: string;
  readonly json: unknown;
  readonly receivedAt: number;
  /** The status it was answered with; undefined while unanswered, hung or reset. */
  readonly status: number | undefined;
};

/** A scalar attribute value of OTLP/JSON; 64-bit integers become numbers. */
export type AttributeValue = string | number | boolean | readonly AttributeValue[] | null;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** A span out of an accepted export, flattened: plain attributes, nanosecond strings kept, resource and scope beside it. */
export type FlatSpan = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Attributes;
  readonly events: readonly {
    readonly name: string;
    readonly timeUnixNano: string;
    readonly attributes: Attributes;
  }[];
  readonly links: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes: Attributes;
  }[];
  readonly status: { readonly code?: number; readonly message?: string };
  readonly resource: Attributes;
  readonly scope: string;
};

type WireValue = {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: string | number;
  doubleValue?: number;
  arrayValue?: { values?: WireValue[] };
};
type WireAttributes = readonly { key: string; value?: WireValue }[];
type WireSpan = Omit<FlatSpan, "attributes" | "events" | "links" | "resource" | "scope"> & {
  attributes?: WireAttributes;
  events?: { name: string; timeUnixNano: string; attributes?: WireAttributes }[];
  links?: { traceId: string; spanId: string; attributes?: WireAttributes }[];
};
type WireBody = {
  resourceSpans?: {
    resource?: { attributes?: WireAttributes };
    scopeSpans?: { scope?: { name?: string }; spans?: WireSpan[] }[];
  }[];
};

/** Flattens the spans of an OTLP/JSON body; a body of another shape gives what can be read of it. */
export function flattenSpans(body: unknown): FlatSpan[] {
  // Only the shape matters here: whether the values keep to the protocol is checkOtlp's business.
  const { resourceSpans = [] } = (body ?? {}) as WireBody;
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ scope, spans = [] }) =>
      spans.map((span) => ({
        ...span,
        parentSpanId: span.parentSpanId === "" ? undefined : span.parentSpanId,
        attributes: plainAttributes(span.attributes),
        events: (span.events ?? []).map((event) => ({
          ...event,
          attributes: plainAttributes(event.attributes),
        })),
        links: (span.links ?? []).map((link) => ({ ...link, attributes: plainAttributes(link.attributes) })),
        status: span.status ?? {},
        resource: plainAttributes(resource?.attributes),
        scope: scope?.name ?? "",
      })),
    ),
  );
}

function plainAttributes(attributes: WireAttributes = []): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value)]));
}

function plainValue(value: WireValue = {}): AttributeValue {
  if (value.intValue !== undefined) return Number(value.intValue);
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? null;
}
