// A user pool for tests and for trying things out: cognito-local with one app
// client, two users and a group.
//
// Two things are added that cognito-local lacks and that a sign-in by OpenID
// Connect needs: the nonce of the authorization request in the ID token, and
// the hosted domain's /logout.
//
// Settings come from the environment. The first line of standard output is a
// JSON object that says where the pool is; the end of standard input stops the
// process, and the data with it.

import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const load = createRequire(import.meta.url);
const lib = (path) => load(`cognito-local/lib/${path}`);
const list = (name) => (process.env[name] ?? '').split(' ').filter(Boolean);

const quiet = {};
for (const level of ['trace', 'debug', 'info', 'warn', 'fatal']) quiet[level] = () => {};
quiet.error = (...args) => console.error(...args);
quiet.child = () => quiet;
const ctx = { logger: quiet };

// The console is how messages to users are delivered; standard output is ours.
console.log = console.info = console.error;

const directory = mkdtempSync(join(tmpdir(), 'cognito-local-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));

const { DateClock, LambdaService, MessagesService, TriggersService } = lib('services');
const { AuthorizationCodeStore } = lib('oauth2/authorizationCodeStore');
const { JwtTokenGenerator } = lib('services/tokenGenerator');

// What belongs to one request at the token endpoint.
const request = new AsyncLocalStorage();
const nonceOfState = new Map();
const nonceOfCode = new Map();

const { create, consume } = AuthorizationCodeStore.prototype;
AuthorizationCodeStore.prototype.create = function (data) {
  const code = create.call(this, data);
  nonceOfCode.set(code, nonceOfState.get(data.state));
  nonceOfState.delete(data.state);
  return code;
};
AuthorizationCodeStore.prototype.consume = function (code) {
  request.getStore().nonce = nonceOfCode.get(code);
  nonceOfCode.delete(code);
  return consume.call(this, code);
};

const jwt = createRequire(load.resolve('cognito-local'))('jsonwebtoken');
const { pem } = lib('keys/cognitoLocal.private.json');

class TokenGenerator extends JwtTokenGenerator {
  async generate(...args) {
    const tokens = await super.generate(...args);
    const nonce = request.getStore()?.nonce;
    if (nonce) {
      const claims = { ...jwt.decode(tokens.IdToken), nonce };
      tokens.IdToken = jwt.sign(claims, pem, { algorithm: 'RS256', keyid: 'CognitoLocal' });
    }
    return tokens;
  }
}

const clock = new DateClock();
const { StormDBDataStoreFactory } = lib('services/dataStore/stormDb');
const stores = new StormDBDataStoreFactory(directory);
const { UserPoolServiceFactoryImpl } = lib('services/userPoolService');
const { CognitoServiceFactoryImpl } = lib('services/cognitoService');
const pools = new UserPoolServiceFactoryImpl(clock, stores);
const cognito = await new CognitoServiceFactoryImpl(directory, stores, pools)
  .create(ctx, { UsernameAttributes: ['email'] });
const triggers = new TriggersService(clock, cognito, new LambdaService({}, null), null);
const tokenConfig = { IssuerDomain: '' };
const services = {
  clock,
  cognito,
  triggers,
  config: { TokenConfig: tokenConfig, UserPoolDefaults: {} },
  messages: new MessagesService(triggers, { deliver: async () => {} }),
  otp: () => '123456',
  tokenGenerator: new TokenGenerator(clock, triggers, tokenConfig),
};
const router = lib('server/Router').Router(services);
const { application } = lib('server/server').createServer(router, quiet, {}, services);

const call = (operation, input) => router(operation)(ctx, input);
const { UserPool } = await call('CreateUserPool', { PoolName: 'shop', UsernameAttributes: ['email'] });
const UserPoolId = UserPool.Id;
const logoutURLs = list('LOGOUT_URLS');
const { UserPoolClient } = await call('CreateUserPoolClient', {
  UserPoolId,
  ClientName: 'web',
  CallbackURLs: list('CALLBACK_URLS'),
  LogoutURLs: logoutURLs,
  AccessTokenValidity: Number(process.env.ACCESS_SECONDS || 300),
  IdTokenValidity: Number(process.env.ACCESS_SECONDS || 300),
  TokenValidityUnits: { AccessToken: 'seconds', IdToken: 'seconds' },
});
await call('CreateGroup', { UserPoolId, GroupName: 'admins' });
for (const [Username, Password, group] of [
  ['alice@example.com', 'Alice-12', 'admins'],
  ['bob@example.com', 'Bobby-12', ''],
]) {
  const { User } = await call('AdminCreateUser', { UserPoolId, Username, MessageAction: 'SUPPRESS' });
  await call('AdminSetUserPassword', { UserPoolId, Username, Password, Permanent: true });
  if (group) await call('AdminAddUserToGroup', { UserPoolId, GroupName: group, Username: User.Username });
}
// She has never signed in: Cognito asks for a password of her own first.
await call('AdminCreateUser', {
  UserPoolId, Username: 'carol@example.com', TemporaryPassword: 'Carol-12', MessageAction: 'SUPPRESS',
});

const server = createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  const q = url.searchParams;
  if (req.method === 'GET' && url.pathname === '/oauth2/authorize' && q.has('nonce')) {
    nonceOfState.set(q.get('state'), q.get('nonce'));
  }
  if (req.method === 'GET' && url.pathname === '/logout') {
    const to = q.get('logout_uri');
    const known = q.get('client_id') === UserPoolClient.ClientId && logoutURLs.includes(to);
    res.writeHead(known ? 302 : 400, known ? { Location: to } : {}).end();
    return;
  }
  request.run({}, () => application(req, res));
});
// The host is a name because cookies and sites are then told apart from those
// of an application at 127.0.0.1: the port alone would not do that.
server.listen(0, '127.0.0.1', () => {
  const url = `http://localhost:${server.address().port}`;
  tokenConfig.IssuerDomain = url;
  const ready = { url, pool_id: UserPoolId, client_id: UserPoolClient.ClientId };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
});

process.stdin.resume().on('end', () => process.exit(0));
