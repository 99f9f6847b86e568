/**
 * What differs between Claude models and must be known before one is called: read off the model's name, since every
 * cloud that serves Claude keeps family and version in it. Pure. https://platform.claude.com/docs/en/models/overview
 * (seen 2026-11)
 */

/** How thinking is switched on: by a budget, or by an effort that it budgets itself. */
type ThinkingForm = "budget" | "adaptive";

/** How thinking is switched off. `never`: it can't be; the least effort is the nearest. */
type ThinkingOff = "omit" | "disabled" | "between_tools" | "never";

export interface Claude {
  readonly thinking: ThinkingForm;
  readonly thinkingOff: ThinkingOff;
  /** Whether `temperature`, `top_p` and `top_k` may say anything but their defaults. */
  readonly takesSampling: boolean;
  /** Whether it takes `temperature` and `top_p` in one request: since 4.1 no model does. */
  readonly takesTemperatureWithTopP: boolean;
  /** The most it may write, in tokens: used where a client set no limit, since the wire must have one. */
  readonly maxOutputTokens: number;
}

/** Version numbers around the family's name, on either side of it; a date has more digits. */
const NEW_NAME = /claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/;
const OLD_NAME = /claude-(\d)(?:-(\d))?-(opus|sonnet|haiku)/;

/** Every model since Claude 3.5 takes this; for a name that tells no version. */
const UNKNOWN_MAX_TOKENS = 8192;

/** Most tokens of an answer by the least version (major × 100 + minor) that can write so many. */
const MAX_TOKENS: readonly (readonly [version: number, tokens: number])[] = [
  [406, 128_000],
  [405, 64_000],
  [307, 64_000],
  [305, 8192],
  [0, 4096],
];
const OPUS_4_MAX_TOKENS = 32_000;

const ADAPTIVE_SINCE = 406;
const SAMPLING_UNTIL = 406;
const ONE_OF_TWO_SINCE = 401;

/** What is known of the model of this name; a name without a version counts as one of today's that takes anything. */
export function readClaude(model: string): Claude {
  const named = parseName(model);
  if (named === undefined) {
    return {
      thinking: "adaptive",
      thinkingOff: "omit",
      takesSampling: true,
      takesTemperatureWithTopP: false,
      maxOutputTokens: UNKNOWN_MAX_TOKENS,
    };
  }
  const { family, version } = named;
  const limit = MAX_TOKENS.find(([since]) => version >= since)?.[1] ?? UNKNOWN_MAX_TOKENS;
  const isEarlyOpus4 = family === "opus" && version >= 400 && version < 405;
  return {
    thinking: version >= ADAPTIVE_SINCE ? "adaptive" : "budget",
    thinkingOff: thinkingOffOf(family, version),
    takesSampling: version <= SAMPLING_UNTIL,
    takesTemperatureWithTopP: version < ONE_OF_TWO_SINCE,
    maxOutputTokens: isEarlyOpus4 ? OPUS_4_MAX_TOKENS : limit,
  };
}

function thinkingOffOf(family: string, version: number): ThinkingOff {
  if (version < ADAPTIVE_SINCE) return "omit";
  if (family === "fable" || family === "mythos") return "never";
  if (version < 505) return "disabled";
  if (family === "opus") return "never";
  return family === "sonnet" ? "between_tools" : "disabled";
}

function parseName(model: string): { readonly family: string; readonly version: number } | undefined {
  const recent = NEW_NAME.exec(model);
  if (recent) return { family: recent[1] ?? "", version: versionOf(recent[2], recent[3]) };
  const early = OLD_NAME.exec(model);
  return early ? { family: early[3] ?? "", version: versionOf(early[1], early[2]) } : undefined;
}

function versionOf(major = "0", minor = "0"): number {
  return Number(major) * 100 + Number(minor);
}
