/** What media is billed for where the upstream reported no tokens: pieces, seconds or characters. Pure. */

import type { TokenUsage } from "../schema/chat.ts";
import type { MediaUnits } from "../schema/media-units.ts";
import type { TokenPrices } from "./price-finder.ts";

/** What an answer says of itself. */
export interface MediaReport {
  readonly images?: number;
  readonly seconds?: number;
}

export interface MediaUsage {
  readonly units: Pick<TokenUsage, "images" | "audioSeconds" | "characters">;
  readonly isEstimate: boolean;
}

/** Of English, read aloud at a usual pace. */
const CHARACTERS_PER_SECOND = 15;

/** `price`: where it is not known, what was asked is counted all the same. */
export function mediaUsage(
  media: MediaUnits,
  price: TokenPrices | undefined,
  report: MediaReport = {},
): MediaUsage {
  switch (media.kind) {
    case "images": {
      // A model that is billed by tokens costs about so much a piece.
      const isEstimate = (price?.output ?? 0) > 0;
      return { units: { images: report.images ?? media.count }, isEstimate };
    }
    case "speech": {
      const { characters } = media;
      const isBySecond = price?.perMillionCharacters === undefined && price?.perSecond !== undefined;
      if (!isBySecond) return { units: { characters }, isEstimate: false };
      const audioSeconds = Math.ceil(characters / CHARACTERS_PER_SECOND);
      return { units: { audioSeconds }, isEstimate: true };
    }
    case "sound": {
      const { seconds = media.seconds } = report;
      return { units: { audioSeconds: seconds }, isEstimate: report.seconds === undefined };
    }
  }
}
