// Clients that sign users in by SRP, one after the other: amazon-cognito-identity-js, aws-amplify.
//
//     node clients.cjs identity_js|amplify ENDPOINT POOL_ID CLIENT_ID
//
// The protocol is that of client.py: a username comes in on a line; "code" goes out if a code was sent, and
// the code comes in; "done" goes out.
globalThis.navigator ??= { userAgent: 'benchmarks', platform: 'Linux' };
globalThis.crypto ??= require('node:crypto').webcrypto;
const { createInterface } = require('node:readline');

const [kind, endpoint, poolId, clientId] = process.argv.slice(2);
const PASSWORD = 'Correct-horse-1';
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => (await lines.next()).value;
const say = (word) => process.stdout.write(`${word}\n`);

const codeFromUser = async () => {
  say('code');
  return read();
};

const identityJs = () => {
  const { AuthenticationDetails, CognitoUser, CognitoUserPool } = require('amazon-cognito-identity-js');
  // As in a browser, whose storage the library uses.
  const kept = new Map();
  const Storage = {
    setItem: (key, value) => kept.set(key, value),
    getItem: (key) => kept.get(key) ?? null,
    removeItem: (key) => kept.delete(key),
    clear: () => kept.clear(),
  };
  const Pool = new CognitoUserPool({ UserPoolId: poolId, ClientId: clientId, endpoint, Storage });
  return (Username) =>
    new Promise((onSuccess, onFailure) => {
      const user = new CognitoUser({ Username, Pool, Storage });
      const results = {
        onSuccess,
        onFailure,
        mfaRequired: async () => user.sendMFACode(await codeFromUser(), results),
      };
      const details = new AuthenticationDetails({ Username, Password: PASSWORD });
      user.authenticateUser(details, results);
    });
};

const amplify = () => {
  const { Amplify } = require('aws-amplify');
  const { confirmSignIn, signIn } = require('aws-amplify/auth');
  const { cognitoUserPoolsTokenProvider } = require('aws-amplify/auth/cognito');
  const { ConsoleLogger } = require('aws-amplify/utils');
  ConsoleLogger.LOG_LEVEL = 'ERROR'; // it warns that the endpoint is not AWS's
  Amplify.configure({
    Auth: {
      Cognito: { userPoolId: poolId, userPoolClientId: clientId, userPoolEndpoint: endpoint },
    },
  });
  return async (username) => {
    let { nextStep } = await signIn({ username, password: PASSWORD });
    if (nextStep.signInStep === 'CONFIRM_SIGN_IN_WITH_SMS_CODE')
      ({ nextStep } = await confirmSignIn({ challengeResponse: await codeFromUser() }));
    if (nextStep.signInStep !== 'DONE') throw new Error(nextStep.signInStep);
    // Another user signs in next; a sign-out would be one more call to Cognito.
    await cognitoUserPoolsTokenProvider.authTokenStore.clearTokens();
  };
};

const main = async () => {
  const signIn = { identity_js: identityJs, amplify }[kind]();
  say('ready');
  for (let username = await read(); username; username = await read()) {
    await signIn(username);
    say('done');
  }
};
main();
