import { inspect } from 'node:util';
import type { Header } from './headers.ts';

const hidden = '[secret]';

/** A header with a secret value: readable through `value` alone, so that no log line or error shows it by accident. */
export class SecretHeader implements Header {
  readonly name: string;
  readonly #value: string;

  constructor(name: string, value: string) {
    this.name = name;
    this.#value = value;
  }

  get value(): string {
    return this.#value;
  }

  toString(): string {
    return `${this.name}: ${hidden}`;
  }

  toJSON(): { name: string; value: string } {
    return { name: this.name, value: hidden };
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
