export type ContentSize = {
  /** Bytes of the body without its inline media. */
  contentBytes: number;
  /** Images, sounds and files carried inline. */
  mediaParts: number;
};

const dataUrlMarker = Buffer.from(';base64,');
const audioMarker = Buffer.from('input_audio"');
const quote = 0x22;

/** `"url":"data:image/png`, also `"image_url"` of the responses API and `"file_data"`: a media type fits in what is looked at. */
const dataUrlHead = /"(?:url|image_url|file_data)"\s*:\s*"data:[^"]*$/;
const audioHead = /^\s*:\s*\{\s*(?:"format"\s*:\s*"[^"]*"\s*,\s*)?"data"\s*:\s*"/;
const headBytes = 160;

/**
 * Measures how much of a request body is text for the model: base64 data of images, sounds and files is not.
 *
 * Only data in the fields that carry media is left out. The same bytes within a prompt's text, where their quotes are
 * escaped, are text and count as such.
 */
export function measureContent(body: Buffer): ContentSize {
  let mediaBytes = 0;
  let mediaParts = 0;

  let at = body.indexOf(dataUrlMarker);
  while (at !== -1) {
    const start = at + dataUrlMarker.length;
    let next = start;
    if (dataUrlHead.test(body.toString('latin1', Math.max(0, at - headBytes), at))) {
      next = endOfText(body, start);
      mediaBytes += next - start;
      mediaParts += 1;
    }
    at = body.indexOf(dataUrlMarker, next);
  }

  at = body.indexOf(audioMarker);
  while (at !== -1) {
    const after = at + audioMarker.length;
    const head = audioHead.exec(body.toString('latin1', after, after + headBytes));
    let next = after;
    if (head !== null) {
      const start = after + head[0].length;
      next = endOfText(body, start);
      mediaBytes += next - start;
      mediaParts += 1;
    }
    at = body.indexOf(audioMarker, next);
  }
  return { contentBytes: body.length - mediaBytes, mediaParts };
}

/** Base64 has no quote and no backslash: the next quote ends it. */
function endOfText(body: Buffer, start: number): number {
  const end = body.indexOf(quote, start);
  return end === -1 ? body.length : end;
}
