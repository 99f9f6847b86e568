/**
 * A finished trace as the text that each destination and the store get: with or without content, with a
 * preset's attributes. Text that several of them share is encoded once. Pure.
 */

import type { ContentMode, TraceContent } from "../content/content.ts";
import { withContent } from "../content/content-render.ts";
import { withPresetAttributes, type AttributeSet } from "./preset-attributes.ts";
import type { TraceDestination } from "./destination.ts";
import { encodeTrace, type EncodedTrace } from "../otlp/otlp.ts";
import { PRESETS } from "../../tenants/records/destination-presets.ts";
import type { FinishedTrace } from "../trace/trace.ts";

/** The encodings of one trace, in memory only until it is queued. */
export interface TraceEncoder {
  /** Without any content. */
  readonly plain: () => EncodedTrace;
  /** For a tenant's destination, with the content it may have; the parent is kept. */
  readonly forDestination: (destination: Pick<TraceDestination, "preset" | "content">) => string;
  /** For the tenant's own store. */
  readonly forStore: (content: ContentMode) => string;
}

/** Keeps a trace's row in the store from being mostly message text. */
const STORE_CONTENT_CHARS = 16 * 1024;

export function createTraceEncoder(trace: FinishedTrace, content: TraceContent | undefined): TraceEncoder {
  const variants = new Map<string, string>();
  let plain: EncodedTrace | undefined;

  function encodePlain(): EncodedTrace {
    return (plain ??= encodeTrace(trace));
  }

  function encode(mode: ContentMode, maxChars: number, attributeSet: AttributeSet | undefined): string {
    const hasContent = mode !== "off" && content !== undefined;
    if (!hasContent && attributeSet === undefined) return encodePlain().spans;
    const key = `${hasContent ? `${mode}/${maxChars}` : "off"}/${attributeSet ?? ""}`;
    let spans = variants.get(key);
    if (spans === undefined) {
      const shown = hasContent ? withContent(trace, content, { mode, maxChars }) : trace;
      spans = encodeTrace(
        attributeSet === undefined ? shown : withPresetAttributes(shown, attributeSet),
      ).spans;
      variants.set(key, spans);
    }
    return spans;
  }

  return {
    plain: encodePlain,
    forDestination({ preset, content: mode }) {
      const { maxContentChars, attributeSet } = PRESETS[preset];
      return encode(mode, maxContentChars, attributeSet);
    },
    forStore: (mode) => encode(mode, STORE_CONTENT_CHARS, undefined),
  };
}
