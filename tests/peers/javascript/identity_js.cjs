// amazon-cognito-identity-js: every way to sign in that it knows, and what a user can do afterwards.
const assert = require('node:assert/strict');
const {
  AuthenticationDetails,
  CognitoUser,
  CognitoUserAttribute,
  CognitoUserPool,
} = require('amazon-cognito-identity-js');
const { code, pools, refresh, run, totp, user: state, wrong } = require('./scenarios.cjs');

const PASSWORD = 'Correct-horse-1';
const NEW = 'Better-horse-2';
const TOTP = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';

// A browser: what the library stores there, and the pool.
class Browser {
  constructor(pool = pools) {
    this.kept = new Map();
    this.storage = {
      setItem: (key, value) => this.kept.set(key, value),
      getItem: (key) => this.kept.get(key) ?? null,
      removeItem: (key) => this.kept.delete(key),
      clear: () => this.kept.clear(),
    };
    this.pool = new CognitoUserPool({
      UserPoolId: pool.pool_id,
      ClientId: pool.client_id,
      endpoint: pools.endpoint,
      Storage: this.storage,
    });
  }

  user(Username) {
    return new CognitoUser({ Username, Pool: this.pool, Storage: this.storage });
  }

  // The library's SRP takes a second. Scenarios that are about something else do without.
  signIn(Username, Password = PASSWORD, flow = 'USER_PASSWORD_AUTH') {
    const user = this.user(Username);
    user.setAuthenticationFlowType(flow);
    return step(user, (answers) =>
      user.authenticateUser(new AuthenticationDetails({ Username, Password }), answers),
    );
  }
}

const STEPS = [
  'mfaRequired',
  'totpRequired',
  'selectMFAType',
  'mfaSetup',
  'newPasswordRequired',
  'customChallenge',
];

// What the library calls next.
const step = (user, begin) =>
  new Promise((resolve, onFailure) => {
    const answers = {
      onFailure,
      onSuccess: (session, ask) => resolve({ user, next: 'onSuccess', session, ask }),
    };
    for (const next of STEPS) answers[next] = (...given) => resolve({ user, next, given });
    begin(answers);
  });

const call = (begin) =>
  new Promise((onSuccess, onFailure) =>
    begin({ onSuccess, onFailure, inputVerificationCode: onSuccess }),
  );

const plainly = (begin) =>
  new Promise((resolve, reject) =>
    begin((error, result) => (error ? reject(error) : resolve(result))),
  );

const fails = (promise, code, message) =>
  assert.rejects(promise, { code, ...(message ? { message } : {}) });

run({
  async 'SRP: wrong passwords and unknown users are told alike'() {
    const browser = new Browser();
    const words = ['NotAuthorizedException', 'Incorrect username or password.'];
    await fails(browser.signIn('plain', 'wrong', 'USER_SRP_AUTH'), ...words);
    await fails(browser.signIn('nobody', 'wrong', 'USER_SRP_AUTH'), ...words);
    const { session } = await browser.signIn('plain', PASSWORD, 'USER_SRP_AUTH');
    assert.equal(session.getIdToken().payload.email, 'plain@example.com');
    assert.equal(session.getAccessToken().payload.username, 'plain');
    assert.equal(browser.pool.getCurrentUser().getUsername(), 'plain');
    assert.ok((await plainly((done) => browser.pool.getCurrentUser().getSession(done))).isValid());
  },

  async 'USER_PASSWORD_AUTH'() {
    const browser = new Browser();
    const refused = browser.signIn('plain', 'wrong');
    await fails(refused, 'NotAuthorizedException', 'Incorrect username or password.');
    const { next } = await browser.signIn('plain');
    assert.equal(next, 'onSuccess');
  },

  async 'SMS code'() {
    const { user, next, given } = await new Browser().signIn('sms');
    assert.equal(next, 'mfaRequired');
    assert.equal(given[0], 'SMS_MFA');
    assert.equal(given[1].CODE_DELIVERY_DESTINATION, '+*******0001');
    const sent = await code('sms');
    const mismatch = step(user, (answers) => user.sendMFACode(wrong(sent), answers));
    await fails(mismatch, 'CodeMismatchException', 'Invalid code or auth state for the user.');
    const done = await step(user, (answers) => user.sendMFACode(sent, answers));
    assert.equal(done.next, 'onSuccess');
    assert.equal((await state('sms')).messages.length, 1);
  },

  async 'authenticator code'() {
    const { user, next } = await new Browser().signIn('totp');
    assert.equal(next, 'totpRequired');
    const right = await totp(TOTP);
    const send = (text) => step(user, (to) => user.sendMFACode(text, to, 'SOFTWARE_TOKEN_MFA'));
    await fails(send(wrong(right)), 'CodeMismatchException');
    assert.equal((await send(right)).next, 'onSuccess');
  },

  async 'choice of the second factor'() {
    const { user, next, given } = await new Browser().signIn('both');
    assert.equal(next, 'selectMFAType');
    const offered = JSON.parse(given[1].MFAS_CAN_CHOOSE);
    assert.deepEqual(offered.sort(), ['SMS_MFA', 'SOFTWARE_TOKEN_MFA']);
    const chosen = await step(user, (to) => user.sendMFASelectionAnswer('SMS_MFA', to));
    assert.equal(chosen.next, 'mfaRequired');
    const sent = await code('both');
    assert.equal((await step(user, (to) => user.sendMFACode(sent, to))).next, 'onSuccess');
  },

  async 'required authenticator is set up'() {
    const { user, next } = await new Browser(pools.required).signIn('setup');
    assert.equal(next, 'mfaSetup');
    const secret = await new Promise((associateSecretCode, onFailure) =>
      user.associateSoftwareToken({ associateSecretCode, onFailure }),
    );
    const mismatch = call((to) => user.verifySoftwareToken('000000', 'phone', to));
    await fails(mismatch, 'EnableSoftwareTokenMFAException');
    const right = await totp(secret);
    await call((to) => user.verifySoftwareToken(right, 'phone', to));
    const second = await new Browser(pools.required).signIn('setup');
    assert.equal(second.next, 'totpRequired');
  },

  async 'temporary password is replaced'() {
    const { user, next, given } = await new Browser().signIn('new');
    assert.equal(next, 'newPasswordRequired');
    assert.equal(given[0].email, 'new@example.com');
    const replace = (password) =>
      step(user, (to) => user.completeNewPasswordChallenge(password, { given_name: 'New' }, to));
    await fails(replace('short'), 'InvalidPasswordException');
    const { next: done, session } = await replace(NEW);
    assert.equal(done, 'onSuccess');
    assert.equal(session.getIdToken().payload.given_name, 'New');
    assert.equal((await new Browser().signIn('new', NEW)).next, 'onSuccess');
  },

  async 'custom challenge, without and after a password'() {
    for (const withPassword of [false, true]) {
      const browser = new Browser();
      const user = browser.user('plain');
      user.setAuthenticationFlowType('CUSTOM_AUTH');
      const details = { Username: 'plain', ...(withPassword ? { Password: PASSWORD } : {}) };
      const given = new AuthenticationDetails(details);
      const begin = withPassword ? 'authenticateUser' : 'initiateAuth';
      let now = await step(user, (to) => user[begin](given, to));
      assert.equal(now.next, 'customChallenge');
      assert.equal(now.given[0].question, 'Which animal?');
      now = await step(user, (to) => user.sendCustomChallengeAnswer('donkey', to));
      assert.equal(now.next, 'customChallenge');
      now = await step(user, (to) => user.sendCustomChallengeAnswer('horse', to));
      assert.equal(now.next, 'onSuccess');
    }
  },

  async 'wrong custom answers end the sign-in'() {
    const user = new Browser().user('plain');
    user.setAuthenticationFlowType('CUSTOM_AUTH');
    await step(user, (to) => user.initiateAuth(new AuthenticationDetails({ Username: 'plain' }), to));
    const answer = () => step(user, (to) => user.sendCustomChallengeAnswer('donkey', to));
    await answer();
    await answer();
    await fails(answer(), 'NotAuthorizedException', 'Incorrect username or password.');
  },

  async 'forgotten password is reset'() {
    const user = new Browser().user('forgetful');
    const { CodeDeliveryDetails } = await call((to) => user.forgotPassword(to));
    assert.equal(CodeDeliveryDetails.Destination, 'f***@e***');
    const sent = await code('forgetful');
    const reset = (text, password) => call((to) => user.confirmPassword(text, password, to));
    await fails(reset(wrong(sent), NEW), 'CodeMismatchException');
    await fails(reset(sent, 'short'), 'InvalidPasswordException');
    await reset(sent, NEW);
    assert.equal((await new Browser().signIn('forgetful', NEW)).next, 'onSuccess');
  },

  async 'sign-up is confirmed'() {
    const browser = new Browser();
    const email = new CognitoUserAttribute({ Name: 'email', Value: 'nina@example.com' });
    const signUp = (name, password) =>
      plainly((done) => browser.pool.signUp(name, password, [email], null, done));
    await fails(signUp('nina', 'short'), 'InvalidPasswordException');
    const made = await signUp('nina', PASSWORD);
    assert.equal(made.userConfirmed, false);
    assert.equal(made.codeDeliveryDetails.Destination, 'n***@e***');
    await fails(signUp('nina', PASSWORD), 'UsernameExistsException', 'User already exists');
    const unconfirmed = browser.signIn('nina');
    await fails(unconfirmed, 'UserNotConfirmedException', 'User is not confirmed.');
    await plainly((done) => made.user.resendConfirmationCode(done));
    const sent = await code('nina');
    const confirm = (text) => plainly((done) => made.user.confirmRegistration(text, false, done));
    await fails(confirm(wrong(sent)), 'CodeMismatchException');
    assert.equal(await confirm(sent), 'SUCCESS');
    assert.equal((await browser.signIn('nina')).next, 'onSuccess');
    await fails(confirm(sent), 'NotAuthorizedException');
  },

  async 'remembered device replaces the code'() {
    const pool = pools.devices;
    const browser = new Browser(pool);
    const { user } = await browser.signIn('device');
    const sent = await code('device', pool.pool_id);
    const first = await step(user, (to) => user.sendMFACode(sent, to));
    assert.equal(first.ask, true);
    await call((to) => user.setDeviceStatusRemembered(to));
    const second = await browser.signIn('device');
    assert.equal(second.next, 'onSuccess');
    assert.equal((await state('device', pool.pool_id)).messages.length, 1);
    const found = await call((to) => second.user.getDevice(to));
    const all = await call((to) => second.user.listDevices(10, null, to));
    assert.deepEqual(
      all.Devices.map((device) => device.DeviceKey),
      [found.Device.DeviceKey],
    );
    await call((to) => second.user.setDeviceStatusNotRemembered(to));
    assert.equal((await browser.signIn('device')).next, 'mfaRequired');
    await call((to) => second.user.forgetDevice(to));
    assert.equal((await browser.signIn('device')).next, 'mfaRequired');
    assert.deepEqual((await state('device', pool.pool_id)).devices, []);
  },

  async 'session is renewed, and ends everywhere'() {
    const browser = new Browser();
    const { user, session } = await browser.signIn('plain');
    const renewed = await plainly((done) => user.refreshSession(session.getRefreshToken(), done));
    assert.notEqual(renewed.getAccessToken().getJwtToken(), session.getAccessToken().getJwtToken());
    await call((to) => user.globalSignOut(to));
    const other = browser.user('plain');
    other.setSignInUserSession(renewed);
    const revoked = ['NotAuthorizedException', 'Access Token has been revoked'];
    await fails(plainly((done) => other.getUserAttributes(done)), ...revoked);
    const over = await refresh(session.getRefreshToken().getToken());
    assert.equal(over.message, 'Refresh Token has been revoked');
  },

  async 'sign-out revokes the refresh token'() {
    const { user, session } = await new Browser().signIn('plain');
    await new Promise((done) => user.signOut(done));
    const over = await refresh(session.getRefreshToken().getToken());
    assert.equal(over.message, 'Refresh Token has been revoked');
  },

  async 'attributes are changed and verified'() {
    const { user } = await new Browser().signIn('attributes');
    const set = (Name, Value) =>
      plainly((done) => user.updateAttributes([new CognitoUserAttribute({ Name, Value })], done));
    const get = async () =>
      Object.fromEntries(
        (await plainly((done) => user.getUserAttributes(done))).map((one) => [one.Name, one.Value]),
      );
    await set('nickname', 'Atty');
    assert.equal((await get()).nickname, 'Atty');
    await plainly((done) => user.deleteAttributes(['nickname'], done));
    assert.equal((await get()).nickname, undefined);
    await fails(set('email', 'no address'), 'InvalidParameterException');
    await set('email', 'atty@example.com');
    assert.equal((await get()).email_verified, 'false');
    await call((to) => user.getAttributeVerificationCode('email', to));
    const sent = await code('attributes');
    const verify = (text) => call((to) => user.verifyAttribute('email', text, to));
    await fails(verify(wrong(sent)), 'CodeMismatchException');
    assert.equal(await verify(sent), 'SUCCESS');
    assert.equal((await get()).email_verified, 'true');
  },

  async 'password is changed'() {
    const { user } = await new Browser().signIn('changes');
    const change = (old) => plainly((done) => user.changePassword(old, NEW, done));
    await fails(change('wrong-Horse-1'), 'NotAuthorizedException', 'Incorrect username or password.');
    assert.equal(await change(PASSWORD), 'SUCCESS');
    assert.equal((await new Browser().signIn('changes', NEW)).next, 'onSuccess');
  },

  async 'authenticator app is added'() {
    const { user } = await new Browser().signIn('adds');
    const secret = await new Promise((associateSecretCode, onFailure) =>
      user.associateSoftwareToken({ associateSecretCode, onFailure }),
    );
    const right = await totp(secret);
    await call((to) => user.verifySoftwareToken(right, 'phone', to));
    const settings = { Enabled: true, PreferredMfa: true };
    await plainly((done) => user.setUserMfaPreference(null, settings, done));
    const found = await plainly((done) => user.getUserData(done, { bypassCache: true }));
    assert.equal(found.PreferredMfaSetting, 'SOFTWARE_TOKEN_MFA');
    assert.deepEqual(found.UserMFASettingList, ['SOFTWARE_TOKEN_MFA']);
    assert.equal((await new Browser().signIn('adds')).next, 'totpRequired');
  },

  async 'user is deleted'() {
    const { user } = await new Browser().signIn('deleted');
    assert.equal(await plainly((done) => user.deleteUser(done)), 'SUCCESS');
    await fails(new Browser().signIn('deleted'), 'NotAuthorizedException');
  },

  async 'disabled and imported users are told what strangers are told'() {
    const words = ['NotAuthorizedException', 'Incorrect username or password.'];
    await fails(new Browser().signIn('disabled'), ...words);
    await fails(new Browser().signIn('imported'), ...words);
  },
});
