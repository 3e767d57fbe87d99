// An OpenID provider for tests: oidc-provider with JWT access tokens, rotating
// refresh tokens, revocation and its own development login pages.
//
// Settings come from the environment. Standard output carries one JSON object a
// line: the first says where the provider listens, the others what happened at
// its token and revocation endpoints, tokens included, so that a test can look
// for them where they must not be. A line on standard input is answered by one
// with the same text, and its end stops the process.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

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
const keys = Object.entries(keyKinds).map(([name, [type, options]]) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  alg: name,
  use: 'sig',
}));

const configuration = {
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
  }],
  cookies: { keys: [randomBytes(32).toString('hex')] },
  jwks: { keys },
  scopes: ['openid', 'offline_access', ...scopes],
  features: {
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
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
  ttl: { Grant: 3600, IdToken: accessLife, RefreshToken: 3600, Session: 3600, Interaction: 600 },
};

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
// The host is a name because cookies and sites are then told apart from those
// of an application at 127.0.0.1: the port alone would not do that.
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://localhost:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  observe(provider);
  server.on('request', provider.callback());
  report({ kind: 'ready', issuer });
});

createInterface({ input: process.stdin })
  .on('line', (text) => report({ kind: 'echo', text }))
  .on('close', () => process.exit(0));
