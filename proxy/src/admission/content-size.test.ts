import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measureContent } from './content-size.ts';

const base64 = Buffer.alloc(9000, 'media').toString('base64');
const dataUrl = `data:image/png;base64,${base64}`;

const mediaParts = {
  'a chat image': { type: 'image_url', image_url: { url: dataUrl, detail: 'high' } },
  'a responses image': { type: 'input_image', image_url: dataUrl },
  'a file': { type: 'file', file: { filename: 'a.pdf', file_data: dataUrl } },
  'a sound': { type: 'input_audio', input_audio: { data: base64, format: 'wav' } },
  'a sound, format first': { type: 'input_audio', input_audio: { format: 'wav', data: base64 } },
};

const request = (content: unknown) => ({ model: 'm', messages: [{ role: 'user', content }] });

describe('content size', () => {
  it.each(Object.entries(mediaParts))('leaves out the data of %s', (_name, part) => {
    for (const indent of [undefined, 2]) {
      const body = Buffer.from(
        JSON.stringify(request([{ type: 'text', text: 'é' }, part]), null, indent),
      );
      expect(measureContent(body)).toEqual({
        contentBytes: body.length - base64.length,
        mediaParts: 1,
      });
    }
  });

  it('counts media in the text of a prompt as text', () => {
    for (const text of [
      dataUrl,
      ...Object.values(mediaParts).map((part) => JSON.stringify(part)),
    ]) {
      const body = Buffer.from(JSON.stringify(request(text)));
      expect(measureContent(body)).toEqual({ contentBytes: body.length, mediaParts: 0 });
    }
  });

  it('adds up any mix of text and media', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom(';base64,', '"input_audio":{"data":"', dataUrl),
    );
    const part = fc.oneof(
      text.map((value) => ({ type: 'text', text: value })),
      fc.constantFrom(...Object.values(mediaParts)),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const media = parts.filter(({ type }) => type !== 'text').length;
        const body = Buffer.from(JSON.stringify(request(parts)));
        expect(measureContent(body)).toEqual({
          contentBytes: body.length - media * base64.length,
          mediaParts: media,
        });
      }),
    );
  });

  it('takes a long text without words for text', () => {
    const body = Buffer.from(JSON.stringify(request(base64)));
    expect(measureContent(body)).toEqual({ contentBytes: body.length, mediaParts: 0 });
  });

  it('stays within any bytes', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom(
            '"url":"data:x',
            ';base64,',
            '"input_audio":{"data":"',
            base64,
            base64.slice(0, 99),
            '"',
            ' ',
          ),
        ),
        (pieces) => {
          const body = Buffer.from(pieces.join(''));
          const { contentBytes } = measureContent(body);
          expect(contentBytes).toBeGreaterThanOrEqual(0);
          expect(contentBytes).toBeLessThanOrEqual(body.length);
        },
      ),
    );
  });
});
