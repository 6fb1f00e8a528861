// Runs the scenarios of one client against the sandbox, and prints the error of each, or null, as JSON.
const { createHmac } = require('node:crypto');

const pools = JSON.parse(process.argv[2]);
const controls = `${pools.endpoint}/_sandbox`;
let ahead = 0;

const post = async (url, body, headers) => {
  const json = { 'Content-Type': 'application/x-amz-json-1.1', ...headers };
  return (await fetch(url, { method: 'POST', headers: json, body: JSON.stringify(body) })).json();
};

// A call past the client, which would repeat it, or forget what it needs for it.
const call = (operation, request) => {
  const target = `AWSCognitoIdentityProviderService.${operation}`;
  return post(pools.endpoint, request, { 'X-Amz-Target': target });
};

const refresh = async (RefreshToken) =>
  call('GetTokensFromRefreshToken', { ClientId: pools.client_id, RefreshToken });

// A user of the sandbox: state, attributes, current codes, messages with the newest first.
const user = async (name, poolId = pools.pool_id) => {
  const response = await fetch(`${controls}/users/${encodeURIComponent(name)}?pool_id=${poolId}`);
  return response.json();
};

const code = async (name, poolId) => (await user(name, poolId)).messages[0].code;

// Another code than the right one, of the same length.
const wrong = (right) => String((Number(right) + 1) % 10 ** right.length).padStart(right.length, '0');

const advance = async (seconds) => {
  await post(`${controls}/clock`, { advance_seconds: seconds });
  ahead += seconds;
};

// An authenticator app (RFC 6238). Cognito accepts each code once, so that each is of a later time.
const totp = async (secret) => {
  await advance(30);
  const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret].map((one) => base32.indexOf(one).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor((Date.now() / 1000 + ahead) / 30)));
  const digest = createHmac('sha1', key).update(counter).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1e6).padStart(6, '0');
};

const run = async (scenarios) => {
  const results = {};
  for (const [name, scenario] of Object.entries(scenarios)) {
    try {
      await scenario();
      results[name] = null;
    } catch (error) {
      results[name] = String(error.stack || error);
    }
  }
  console.log(JSON.stringify(results));
  process.exit(0);
};

module.exports = { advance, call, code, pools, refresh, run, totp, user, wrong };
