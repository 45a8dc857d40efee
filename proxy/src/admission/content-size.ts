export type ContentSize = {
  /** Bytes of the body without its inline media. */
  contentBytes: number;
  /** Images, sounds and files carried inline. */
  mediaParts: number;
};

/** Media below twice this may be taken for text: some two thousand tokens of an estimate, against a search through every body. */
const strideBytes = 4096;

/** So many letters in a row without a space or a sign are base64, or a text without words, which the head then tells. */
const probeBytes = 32;

const headBytes = 160;
const urlHead = /"(?:url|image_url|file_data)"\s*:\s*"$/;
const urlPrefix = /^data:[^",]{0,100};base64,/;
const audioHead = /"input_audio"\s*:\s*\{\s*(?:"format"\s*:\s*"[^"]*"\s*,\s*)?"data"\s*:\s*"$/;

const quote = 0x22;

/**
 * Measures how much of a request body is text for the model: base64 data of images, sounds and files is not.
 *
 * Only data in the fields that carry media is left out. The same bytes within a prompt's text, where their quotes are
 * escaped, are text and count as such. The body is probed every few kilobytes, so text costs next to nothing.
 */
export function measureContent(body: Buffer): ContentSize {
  let mediaBytes = 0;
  let mediaParts = 0;

  let at = strideBytes;
  while (at < body.length) {
    if (!isBase64(body, at)) {
      at += strideBytes;
      continue;
    }
    // Base64 has no quote and no backslash: quotes bound it.
    const start = body.lastIndexOf(quote, at) + 1;
    const nextQuote = body.indexOf(quote, at);
    const end = nextQuote === -1 ? body.length : nextQuote;
    const dataStart = mediaStart(body, start);
    if (dataStart !== undefined) {
      mediaBytes += end - dataStart;
      mediaParts += 1;
    }
    // From the end, whatever it was: one long word must not be searched again from each of its probes.
    at = Math.max(end, at + strideBytes);
  }
  return { contentBytes: body.length - mediaBytes, mediaParts };
}

/** Where the base64 begins in the string that begins at `start`, if the string is a field for media. */
function mediaStart(body: Buffer, start: number): number | undefined {
  const head = body.toString('latin1', Math.max(0, start - headBytes), start);
  if (audioHead.test(head)) return start;
  if (!urlHead.test(head)) return undefined;
  const prefix = urlPrefix.exec(body.toString('latin1', start, start + headBytes));
  return prefix === null ? undefined : start + prefix[0].length;
}

function isBase64(body: Buffer, at: number): boolean {
  const end = Math.min(at + probeBytes, body.length);
  for (let position = at; position < end; position += 1) {
    const byte = body[position] ?? 0;
    const isLetter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
    // Digits and the slash before them, and the plus.
    if (!isLetter && !(byte >= 0x2f && byte <= 0x39) && byte !== 0x2b) return false;
  }
  return true;
}
