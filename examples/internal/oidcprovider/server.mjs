// An OpenID provider for tests: oidc-provider with JWT access tokens, rotating
// refresh tokens, revocation and its own development login pages.
//
// Settings come from the environment. Standard output carries one JSON object a
// line: the first says where the provider listens, the others what happened at
// its token and revocation endpoints, tokens included, so that a test can look
// for them where they must not be. A line on standard input is answered by one
// with the same text, after what it says is done: "rotate" makes new keys, and
// "revoke alice" ends all that alice has. The end of the input stops the process.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { Storage } from './adapter.mjs';

// The library's notices would mix with the events.
console.info = console.error;
const { default: Provider } = await import('oidc-provider');

const env = (name) => {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
};
const list = (name) => (process.env[name] ?? '').split(' ').filter(Boolean);
const report = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const alg = env('ALGORITHM');
const audience = env('AUDIENCE');
const scopes = list('SCOPES');
const accessLife = Number(env('ACCESS_SECONDS'));

const keyKinds = {
  RS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
};
const storage = new Storage(process.env.STATE);
const makeKeys = () => Object.entries(keyKinds).map(([name, [type, options]]) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  alg: name,
  use: 'sig',
}));
// rotate makes keys that sign from now on; the ones before are still published.
const rotate = () => storage.set('keys', [...makeKeys(), ...(storage.get('keys') ?? [])]);
if (!storage.get('keys')) {
  rotate();
  storage.set('cookies', [randomBytes(32).toString('hex')]);
}

const configuration = () => ({
  adapter: (model) => storage.adapter(model),
  clients: [{
    client_id: env('CLIENT_ID'),
    client_secret: env('CLIENT_SECRET'),
    redirect_uris: list('REDIRECT_URIS'),
    post_logout_redirect_uris: list('POST_LOGOUT_REDIRECT_URIS'),
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: alg,
    ...(process.env.BACKCHANNEL_LOGOUT_URI && {
      backchannel_logout_uri: process.env.BACKCHANNEL_LOGOUT_URI,
      backchannel_logout_session_required: true,
    }),
  }, ...JSON.parse(process.env.CLIENTS || '[]')],
  extraClientMetadata: { properties: ['opaque'] },
  cookies: { keys: storage.get('cookies') },
  jwks: { keys: storage.get('keys') },
  scopes: ['openid', 'offline_access', ...scopes],
  features: {
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
    introspection: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // Without a resource an access token is opaque, and good at userinfo.
      defaultResource: (ctx, client) => (client.opaque ? undefined : audience),
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        audience,
        scope: scopes.join(' '),
        accessTokenTTL: accessLife,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg } },
      }),
    },
  },
  // Its own refuses addresses of the machine itself, where tests are at home.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  rotateRefreshToken: true,
  expiresWithSession: () => false,
  ttl: { AccessToken: accessLife, Grant: 3600, IdToken: accessLife, RefreshToken: 3600, Session: 3600, Interaction: 600 },
});

function observe(provider) {
  const about = (ctx) => ({
    grant_type: ctx.oidc?.params?.grant_type,
    subject: ctx.oidc?.entities?.Account?.accountId,
  });
  const presented = ({ code, code_verifier, refresh_token, token } = {}) => (
    { code, code_verifier, refresh_token: refresh_token ?? token });

  provider.on('grant.success', (ctx) => {
    const { access_token, refresh_token, id_token } = ctx.body;
    report({
      kind: 'granted',
      ...about(ctx),
      presented: presented(ctx.oidc.params),
      issued: { access_token, refresh_token, id_token },
    });
  });
  provider.on('grant.error', (ctx, error) => report({
    kind: 'refused',
    ...about(ctx),
    presented: presented(ctx.oidc?.params),
    error: error.error,
    detail: error.error_detail,
  }));
  provider.on('grant.revoked', (ctx) => report({
    kind: 'ended',
    subject: ctx.oidc.entities.RefreshToken?.accountId,
    route: ctx.oidc.route,
  }));
  const toldOfLogout = (ctx, client, subject, sid) => report({ kind: 'told of a logout', subject });
  provider.on('backchannel.success', toldOfLogout);
  provider.on('backchannel.error', (ctx, error, client, subject) => (
    report({ kind: 'refused to hear of a logout', subject, error: error.message })));
  provider.on('server_error', (ctx, error) => console.error(error));
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route === 'revocation') {
      report({
        kind: 'revoked',
        subject: ctx.oidc.entities.RefreshToken?.accountId,
        presented: presented(ctx.oidc.params),
      });
    }
  });
}

const server = createServer();
let issuer = process.env.ISSUER;
let callback;
const provide = () => {
  const provider = new Provider(issuer, configuration());
  observe(provider);
  callback = provider.callback();
};
const [host, port] = (process.env.LISTEN || '127.0.0.1:0').split(':');
server.listen(Number(port), host, () => {
  // The host is a name because cookies and sites are then told apart from those
  // of an application at 127.0.0.1: the port alone would not do that.
  issuer ||= `http://localhost:${server.address().port}`;
  provide();
  server.on('request', (request, response) => callback(request, response));
  report({ kind: 'ready', issuer });
});

createInterface({ input: process.stdin })
  .on('line', (text) => {
    const [order, name] = text.split(' ');
    if (order === 'rotate') {
      rotate();
      provide();
    } else if (order === 'revoke') {
      storage.revoke(name);
    }
    report({ kind: 'echo', text });
  })
  .on('close', () => process.exit(0));
