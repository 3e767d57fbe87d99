// What Next has to know of a login whose cookies Go sets: their names, and no
// more. Tokens are opaque here; the API alone says whether one is good.
//
// Cookies are pairs of a name and a value, as they are in the Cookie header: what
// is there twice stays there twice, and the API believes neither.

// The marker tells, without a secret, until when the access token is good. It
// goes when the token is due; "0" stays where a login has ended.
const marker = 'tokenLife';

// Long tokens are in several cookies, name.0, name.1 and so on. The prefixes are
// absent in development without https (InsecureHTTP).
const access = /^(__Host-|__Secure-)?accessToken(\.\d)?$/;
const refresh = /^(__Host-|__Secure-)?refreshToken(\.\d)?$/;

/** The cookies of a Cookie header, which may be null. */
export function parse(header) {
  return (header ?? '').split(';').map(pair).filter(([name]) => name !== '');
}

function pair(text) {
  const at = text.indexOf('=');
  return at < 0 ? ['', ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/** The Cookie header of cookies. */
export function format(cookies) {
  return cookies.map(([name, value]) => `${name}=${value}`).join('; ');
}

/** What a browser with these cookies sends once it has got these Set-Cookie lines. */
export function apply(cookies, lines) {
  let after = cookies;
  for (const line of lines) {
    const [first, ...attributes] = line.split(';');
    const [name, value] = pair(first);
    after = after.filter(([other]) => other !== name);
    const deleted = attributes.map(pair).some(([key, age]) => key.toLowerCase() === 'max-age' && Number(age) <= 0);
    if (!deleted) after = [...after, [name, value]];
  }
  return after;
}

const some = (cookies, pattern) => cookies.some(([name]) => pattern.test(name));

/** Whether there is a login that could be renewed. */
export const renewable = (cookies) => some(cookies, refresh);

/** Whether it is time to renew: there is a refresh token and no live access token. */
export function due(cookies) {
  const mark = cookies.find(([name]) => name === marker)?.[1];
  if (!renewable(cookies) || mark === '0') return false;
  return mark === undefined || !some(cookies, access);
}

/**
 * The headers with which the API is asked on behalf of a request. The gateway
 * has put the token into Authorization. Without it, the access token's cookie
 * goes on, with a word that it is not the browser who presents it. The refresh
 * token's stays: where a page is rendered there is no way to send the next one
 * to the browser any more.
 */
export function credentials(headers) {
  const authorization = headers.get('authorization') ?? '';
  if (/^bearer /i.test(authorization)) return { authorization };
  const cookies = parse(headers.get('cookie')).filter(([name]) => access.test(name));
  return cookies.length > 0 ? { cookie: format(cookies), 'x-rendering': '1' } : {};
}
