// What is used of Node's zlib, which the platform has without the rest of Node's types.
declare module "node:zlib" {
  interface DecompressOptions {
    /** More than this throws a RangeError. */
    readonly maxOutputLength: number;
  }
  export function brotliDecompressSync(bytes: Uint8Array, options: DecompressOptions): Uint8Array;
  export function zstdDecompressSync(bytes: Uint8Array, options: DecompressOptions): Uint8Array;
}
