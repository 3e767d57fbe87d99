// Tells, for each string of the lists that its arguments name, where a browser (a
// WHATWG URL parser) goes from a page of https://app.test: from the string as it
// stands, and from the string with its percent-encoding decoded once.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

const page = 'https://app.test/auth/callback';

function origin(target) {
  let url;
  try {
    url = new URL(target, page);
  } catch {
    return 'unparsable';
  }
  if (url.origin === new URL(page).origin) return 'same';
  return url.origin === 'null' ? url.protocol : url.origin;
}

function decoded(text) {
  try {
    return origin(decodeURIComponent(text));
  } catch {
    return 'undecodable';
  }
}

const seen = new Map();
for (const list of process.argv.slice(2)) {
  for (const payload of readFileSync(list, 'utf8').split(/\r?\n/)) {
    if (payload === '' || seen.has(payload)) continue;
    seen.set(payload, { payload, source: basename(list), raw: origin(payload), once_decoded: decoded(payload) });
  }
}
console.log(JSON.stringify([...seen.values()], null, 1));
