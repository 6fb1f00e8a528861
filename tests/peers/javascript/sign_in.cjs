// amazon-cognito-identity-js against the sandbox: a code, a remembered device, and no second code.
const { AuthenticationDetails, CognitoUser, CognitoUserPool } = require('amazon-cognito-identity-js');

const [endpoint, UserPoolId, ClientId] = process.argv.slice(2);
const kept = new Map();
const Storage = {
  setItem: (key, value) => kept.set(key, value),
  getItem: (key) => (kept.has(key) ? kept.get(key) : null),
  removeItem: (key) => kept.delete(key),
  clear: () => kept.clear(),
};
const pool = new CognitoUserPool({ UserPoolId, ClientId, endpoint, Storage });

const newestCode = async () => {
  const messages = await (await fetch(`${endpoint}/_sandbox/messages`)).json();
  return messages[messages.length - 1].code;
};

const signIn = () =>
  new Promise((resolve, reject) => {
    const user = new CognitoUser({ Username: 'ana', Pool: pool, Storage });
    const details = new AuthenticationDetails({ Username: 'ana', Password: 'Correct-horse-1' });
    const answers = {
      onSuccess: (session, ask) => resolve({ user, session, ask: Boolean(ask) }),
      onFailure: reject,
      mfaRequired: () => newestCode().then((code) => user.sendMFACode(code, answers)),
    };
    user.authenticateUser(details, answers);
  });

const remember = (user) =>
  new Promise((onSuccess, onFailure) => user.setDeviceStatusRemembered({ onSuccess, onFailure }));

(async () => {
  const first = await signIn();
  await remember(first.user);
  const second = await signIn();
  console.log(
    JSON.stringify({
      asked: first.ask,
      tokens: [first, second].map(({ session }) => session.getAccessToken().getJwtToken()),
    }),
  );
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
