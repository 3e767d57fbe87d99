// What the provider keeps: everything in one map, and where there is a file, in
// that too, so that a provider which is killed and started again knows it all.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const isGrant = (key) => key.startsWith('Grant:');

export class Storage {
  #entries = new Map();
  #file;

  constructor(file) {
    this.#file = file;
    if (file && existsSync(file)) {
      this.#entries = new Map(JSON.parse(readFileSync(file, 'utf8')));
    }
  }

  get(key) {
    const entry = this.#entries.get(key);
    return entry && !(entry.expires <= Date.now()) ? entry.value : undefined;
  }

  set(key, value, seconds) {
    this.#entries.set(key, { value, expires: seconds ? Date.now() + seconds * 1000 : undefined });
    this.#write();
  }

  find(is) {
    return [...this.#entries.keys()].map((key) => [key, this.get(key)]).find(([key, value]) => value && is(key, value))?.[1];
  }

  delete(is) {
    for (const [key, { value }] of [...this.#entries]) {
      if (is(key, value)) {
        this.#entries.delete(key);
      }
    }
    this.#write();
  }

  // revoke ends all that an account has, as an administrator would.
  revoke(account) {
    const grants = [...this.#entries].filter(([key, { value }]) => isGrant(key) && value.accountId === account);
    const ids = new Set(grants.map(([key]) => key.slice('Grant:'.length)));
    this.delete((key, value) => ids.has(value.grantId) || (isGrant(key) && value.accountId === account));
  }

  #write() {
    if (this.#file) {
      writeFileSync(`${this.#file}.new`, JSON.stringify([...this.#entries]), { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    }
  }

  // adapter is what oidc-provider wants for one of its models.
  adapter(model) {
    const storage = this;
    const keyOf = (id) => `${model}:${id}`;
    return {
      async upsert(id, payload, seconds) { storage.set(keyOf(id), payload, seconds); },
      async find(id) { return storage.get(keyOf(id)); },
      async findByUid(uid) { return storage.find((key, value) => key.startsWith(keyOf('')) && value.uid === uid); },
      async findByUserCode() { return undefined; },
      async consume(id) {
        const payload = storage.get(keyOf(id));
        payload.consumed = Math.floor(Date.now() / 1000);
        storage.set(keyOf(id), payload, payload.exp && payload.exp - payload.consumed);
      },
      async destroy(id) { storage.delete((key) => key === keyOf(id)); },
      async revokeByGrantId(id) { storage.delete((key, value) => key.startsWith(keyOf('')) && value.grantId === id); },
    };
  }
}
