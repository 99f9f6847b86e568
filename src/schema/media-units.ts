/** What a request for images or sound asks for, in the units that vendors bill: pieces, characters, seconds. Types only. */

export type MediaUnits =
  | {
      readonly kind: "images";
      readonly count: number;
      /** As the client wrote them; absent where they are left to the model. */
      readonly size?: string;
      readonly quality?: string;
    }
  /** Characters to be spoken. */
  | { readonly kind: "speech"; readonly characters: number }
  /** Seconds to be transcribed, judged by the file's size. */
  | { readonly kind: "sound"; readonly seconds: number };
