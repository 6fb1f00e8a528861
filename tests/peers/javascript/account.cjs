// aws-amplify, version 6: sees the account as oncegate set it, and the other way round.
globalThis.navigator ??= { userAgent: 'peers', platform: 'Linux' };
globalThis.crypto ??= require('node:crypto').webcrypto;
const assert = require('node:assert/strict');
const { Amplify } = require('aws-amplify');
const auth = require('aws-amplify/auth');
const { code, pools, run } = require('./scenarios.cjs');

const { expected } = pools;

Amplify.configure({
  Auth: {
    Cognito: {
      userPoolId: pools.pool_id,
      userPoolClientId: pools.client_id,
      userPoolEndpoint: pools.endpoint,
    },
  },
});

run({
  async 'same factors, addresses, passkeys and devices'() {
    const options = { authFlowType: 'USER_PASSWORD_AUTH' };
    const username = 'nora';
    const { nextStep } = await auth.signIn({ username, password: expected.password, options });
    assert.equal(nextStep.signInStep, 'CONFIRM_SIGN_IN_WITH_SMS_CODE');
    await auth.confirmSignIn({ challengeResponse: await code(username) });
    const { enabled, preferred } = await auth.fetchMFAPreference();
    assert.deepEqual({ enabled: enabled.sort(), preferred }, expected.preference);
    const attributes = await auth.fetchUserAttributes();
    assert.equal(attributes.phone_number, expected.phone_number);
    assert.equal(attributes.phone_number_verified, 'true');
    const { credentials } = await auth.listWebAuthnCredentials();
    assert.deepEqual(credentials.map((one) => one.credentialId), expected.passkeys);
    const devices = (await auth.fetchDevices()).map((one) => one.id);
    for (const device of expected.devices) assert.ok(devices.includes(device), device);
  },

  async 'what it changes is seen by oncegate'() {
    await auth.updateMFAPreference({ totp: 'PREFERRED', sms: 'ENABLED' });
    await auth.deleteWebAuthnCredential({ credentialId: expected.passkeys[0] });
  },
});
