/** Width and height of an image in base64, read from the head of a PNG, JPEG, GIF or WebP file. Pure; decodes no pixels. */

export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** A JPEG may have a thumbnail and colour profiles before its size; beyond that the size stays unknown. */
const MAX_HEAD_CHARS = 96 * 1024;

/** Undefined for another format, and for a head that can't be read. */
export function imageSize(base64: string): ImageSize | undefined {
  const head = base64.slice(0, MAX_HEAD_CHARS);
  let bytes: string;
  try {
    bytes = atob(head.slice(0, head.length - (head.length % 4)));
  } catch {
    return undefined;
  }
  const size = readPng(bytes) ?? readGif(bytes) ?? readWebp(bytes) ?? readJpeg(bytes);
  return size && size.width > 0 && size.height > 0 ? size : undefined;
}

const at = (bytes: string, index: number): number => bytes.charCodeAt(index) || 0;
const big16 = (bytes: string, index: number): number => at(bytes, index) * 256 + at(bytes, index + 1);
const little16 = (bytes: string, index: number): number => at(bytes, index) + at(bytes, index + 1) * 256;
const little24 = (bytes: string, index: number): number =>
  little16(bytes, index) + at(bytes, index + 2) * 65_536;

function readPng(bytes: string): ImageSize | undefined {
  if (!bytes.startsWith("\u0089PNG")) return undefined;
  const big32 = (index: number): number => big16(bytes, index) * 65_536 + big16(bytes, index + 2);
  return { width: big32(16), height: big32(20) };
}

function readGif(bytes: string): ImageSize | undefined {
  return bytes.startsWith("GIF8") ? { width: little16(bytes, 6), height: little16(bytes, 8) } : undefined;
}

/** https://developers.google.com/speed/webp/docs/riff_container (seen 2026-11): lossy, lossless, extended. */
function readWebp(bytes: string): ImageSize | undefined {
  if (!bytes.startsWith("RIFF") || bytes.slice(8, 12) !== "WEBP") return undefined;
  switch (bytes.slice(12, 16)) {
    case "VP8 ":
      return { width: little16(bytes, 26) & 0x3fff, height: little16(bytes, 28) & 0x3fff };
    case "VP8L": {
      const bits = little24(bytes, 21) + at(bytes, 24) * 16_777_216;
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case "VP8X":
      return { width: little24(bytes, 24) + 1, height: little24(bytes, 27) + 1 };
    default:
      return undefined;
  }
}

/** The size is in the first start-of-frame segment (ITU-T T.81, B.2.2). */
function readJpeg(bytes: string): ImageSize | undefined {
  if (!bytes.startsWith("\u00ff\u00d8")) return undefined;
  let index = 2;
  while (index + 9 < bytes.length) {
    if (at(bytes, index) !== 0xff) return undefined;
    const marker = at(bytes, index + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return { width: big16(bytes, index + 7), height: big16(bytes, index + 5) };
    index += 2 + Math.max(2, big16(bytes, index + 2));
  }
  return undefined;
}
