/**
 * What credentials look like: the one list, for an upstream's error messages before a client reads them and for captured
 * content before a trace holds it. It finds what vendors mark; a secret in plain words it can't know.
 */

interface KeyForm {
  /** How the vendor's keys begin, as a pattern. */
  readonly prefix: string;
  /** What follows, as the inside of a character class. */
  readonly characters: string;
  /** How many of these make a key in running text, where a shorter match may be a plain word. */
  readonly minLength: number;
  /** The same in an error message, which is about the key: vendors quote it shortened or masked with asterisks. */
  readonly minQuotedLength?: number;
}

const WORD = "A-Za-z0-9_-";
const QUOTED_LENGTH = 6;

/** Ours among them (`hg_`, `hga_`). */
const KEY_FORMS: readonly KeyForm[] = [
  { prefix: "(?:sk|pk|rk)[-_]", characters: WORD, minLength: 12, minQuotedLength: QUOTED_LENGTH },
  { prefix: "ak[-_]", characters: WORD, minLength: 12 },
  { prefix: "hga?_", characters: "A-Za-z0-9", minLength: 12, minQuotedLength: QUOTED_LENGTH },
  { prefix: "gh[a-z]_", characters: "A-Za-z0-9", minLength: 16 },
  { prefix: "github_pat_", characters: "A-Za-z0-9_", minLength: 16 },
  { prefix: "gl[a-z]{2,5}-", characters: WORD, minLength: 16 },
  { prefix: "gl[a-z]{1,3}_", characters: "A-Za-z0-9_+/=-", minLength: 16 },
  { prefix: "xox[a-z]-", characters: "A-Za-z0-9-", minLength: 10 },
  { prefix: "(?:AKIA|ASIA|ABIA|ACCA)", characters: "A-Z0-9", minLength: 16, minQuotedLength: 8 },
  { prefix: "AIza", characters: WORD, minLength: 30, minQuotedLength: 8 },
  { prefix: "ya29\\.", characters: WORD, minLength: 16 },
  {
    prefix: "(?:gsk|xai|hf|nvapi|pplx|fw|r8)[-_.]",
    characters: WORD,
    minLength: 16,
    minQuotedLength: QUOTED_LENGTH,
  },
  { prefix: "(?:csk|dapi)[-_]", characters: WORD, minLength: 16, minQuotedLength: QUOTED_LENGTH },
  {
    prefix: "(?:npm|whsec|shpat|dop_v1|hvs|lin_api|sbp|pat|tgp_v1|dckr_pat)[-_.]",
    characters: WORD,
    minLength: 16,
  },
];

/**
 * Keys of several parts: SendGrid's, and JSON Web Tokens. A token's dots are not required: with them, a search that fails
 * would begin again at each `-eyJ` of one long word, which takes quadratic time.
 */
const PARTED_KEYS = [`SG\\.[${WORD}]{16,}\\.[${WORD}]{16,}`, `eyJ[${WORD}]{8,}(?:\\.[${WORD}]*)*`] as const;

const NOT_WITHIN_A_WORD = "(?<![A-Za-z0-9])";

/** Keys in running text: errs on the side of masking, but lets words be words. */
export const KEYS_IN_TEXT = anyOf(
  KEY_FORMS.map(({ prefix, characters, minLength }) => `${prefix}[${characters}]{${minLength},}`),
);

/** Keys in an upstream's error message, also half masked with asterisks, since the rest still helps to guess. */
export const KEYS_IN_ERRORS = anyOf(
  KEY_FORMS.map(
    ({ prefix, minLength, minQuotedLength = minLength }) => `${prefix}[\\w.*-]{${minQuotedLength},}`,
  ),
);

function anyOf(forms: readonly string[]): RegExp {
  return new RegExp(`${NOT_WITHIN_A_WORD}(?:${[...forms, ...PARTED_KEYS].join("|")})`, "g");
}

/**
 * `Bearer …` and `Basic …`: group 1 is the scheme, 2 the space behind it. `Basic` and `token` are common words, so that
 * what follows must look encoded. In an error message whatever follows `bearer` is taken for a token.
 */
export const BEARER_IN_TEXT =
  /\b(bearer|token)(\s+)(?=[A-Za-z0-9._~+/-]*[\d._~+/-])[A-Za-z0-9._~+/-]{8,}=*/gi;
export const BEARER_IN_ERRORS = /\b(bearer)(\s+)[\w.~+/*=-]{6,}/gi;
export const BASIC_AUTHORIZATION = /\b(basic)(\s+)(?=[A-Za-z0-9+/]*[\d+/=])[A-Za-z0-9+/]{8,}={0,2}/gi;
