import assert from 'node:assert/strict';
import { test } from 'node:test';

import { apply, credentials, due, format, parse, renewable } from './login.js';

test('a login is due when its marker or its access token has gone', () => {
  for (const [want, header] of [
    [false, null],
    [false, ''],
    [false, 'theme=dark'],
    [false, 'tokenLife=1790000000.abc; __Host-accessToken=a; __Host-refreshToken=r'],
    [true, '__Host-accessToken=a; __Host-refreshToken=r'],
    [true, '__Host-refreshToken=r'],
    [true, 'tokenLife=1790000000.abc; __Host-refreshToken=r'],
    [true, '__Host-accessToken.0=a; __Host-accessToken.1=a; __Host-refreshToken.0=r; __Host-refreshToken.1=r'],
    [false, 'tokenLife=1790000000.abc; __Host-accessToken.0=a; __Host-refreshToken.0=r'],
    [true, '__Host-accessToken=a; __Secure-refreshToken=r'],
    [true, 'accessToken=a; refreshToken=r'],
    [false, 'tokenLife=0; __Host-refreshToken=r'],
    [false, 'tokenLife=0'],
    [false, '__Host-accessToken=a'],
    [false, 'xrefreshToken=r; refreshTokens=r; __Host-refreshToken.x=r'],
  ]) {
    assert.equal(due(parse(header)), want, String(header));
  }
});

test('a refused login is not renewable once its cookies have been cleared', () => {
  const cookies = apply(parse('a=1; __Host-accessToken=a; __Host-refreshToken.0=r; __Host-refreshToken.1=s'), [
    '__Host-accessToken=; Path=/; Max-Age=0; HttpOnly; Secure',
    '__Host-refreshToken.0=; Path=/; max-age=0; HttpOnly; Secure',
    '__Host-refreshToken.1=; Path=/; Max-Age=-1; HttpOnly; Secure',
    'tokenLife=0; Path=/; Secure; SameSite=Lax',
  ]);
  assert.equal(format(cookies), 'a=1; tokenLife=0');
  assert.equal(renewable(cookies), false);
});

test('new cookies take the place of the old ones, and all others stay as they are', () => {
  const cookies = apply(parse('a=1=2; __Host-accessToken=old;b="x y"; __Host-accessToken=older; c='), [
    '__Host-accessToken=ne=w; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax',
    'tokenLife=1.x; Path=/; Max-Age=60',
  ]);
  assert.equal(format(cookies), 'a=1=2; b="x y"; c=; __Host-accessToken=ne=w; tokenLife=1.x');
});

test('a cookie that is there twice is passed on twice, for the API to refuse', () => {
  const got = credentials(new Headers({ cookie: 'accessToken=a; accessToken=b' }));
  assert.deepEqual(got, { cookie: 'accessToken=a; accessToken=b', 'x-rendering': '1' });
});

test('the API gets the bearer token or else the access cookie, and nothing more', () => {
  const all = 'a=1; __Host-accessToken.0=x; __Host-accessToken.1=y; __Host-refreshToken=r; __Host-idToken=i; tokenLife=1.x';
  assert.deepEqual(credentials(new Headers({ authorization: 'Bearer t', cookie: all })), { authorization: 'Bearer t' });
  assert.deepEqual(credentials(new Headers({ authorization: 'Basic u', cookie: all })), credentials(new Headers({ cookie: all })));
  assert.deepEqual(credentials(new Headers({ cookie: all })), {
    cookie: '__Host-accessToken.0=x; __Host-accessToken.1=y',
    'x-rendering': '1',
  });
  assert.deepEqual(credentials(new Headers({ cookie: 'a=1; __Host-refreshToken=r' })), {});
});
