// aws-amplify, version 6: its sign-in steps, and what a user can do afterwards.
// What browsers have, and Node.js 20 has not: the name of the device comes from there.
globalThis.navigator ??= { userAgent: 'peers', platform: 'Linux' };
globalThis.crypto ??= require('node:crypto').webcrypto;
const assert = require('node:assert/strict');
const { Amplify } = require('aws-amplify');
const auth = require('aws-amplify/auth');
const { advance, call, code, pools, run, totp, user: state, wrong } = require('./scenarios.cjs');

const PASSWORD = 'Correct-horse-1';
const NEW = 'Better-horse-2';
const TOTP = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';

const configure = ({ pool_id, client_id } = pools) =>
  Amplify.configure({
    Auth: {
      Cognito: {
        userPoolId: pool_id,
        userPoolClientId: client_id,
        userPoolEndpoint: pools.endpoint,
      },
    },
  });

// The library's SRP takes a second. Scenarios that are about something else do without.
const signIn = async (username, password = PASSWORD, authFlowType = 'USER_PASSWORD_AUTH') =>
  nextOf(
    await auth.signIn({
      username,
      ...(authFlowType === 'CUSTOM_WITHOUT_SRP' ? {} : { password }),
      options: { authFlowType },
    }),
  );

const nextOf = ({ nextStep }) => nextStep;

const answer = async (challengeResponse, options) =>
  nextOf(await auth.confirmSignIn({ challengeResponse, options }));

const tokens = async () => (await auth.fetchAuthSession()).tokens;

const fails = (promise, name, message) =>
  assert.rejects(promise, { name, ...(message ? { message } : {}) });

// Scenarios begin signed out, and in the seed's pool.
const signedOut = (scenarios) =>
  Object.fromEntries(
    Object.entries(scenarios).map(([name, scenario]) => [
      name,
      async () => {
        configure();
        try {
          await scenario();
        } finally {
          await auth.signOut();
        }
      },
    ]),
  );

const scenarios = {
  async 'SRP: wrong passwords and unknown users are told alike'() {
    const words = ['NotAuthorizedException', 'Incorrect username or password.'];
    await fails(signIn('plain', 'wrong', 'USER_SRP_AUTH'), ...words);
    await fails(signIn('nobody', 'wrong', 'USER_SRP_AUTH'), ...words);
    assert.equal((await signIn('plain', PASSWORD, 'USER_SRP_AUTH')).signInStep, 'DONE');
    assert.equal((await auth.getCurrentUser()).username, 'plain');
    const { accessToken, idToken } = await tokens();
    assert.equal(accessToken.payload.username, 'plain');
    assert.equal(idToken.payload.email_verified, true);
    await fails(signIn('plain'), 'UserAlreadyAuthenticatedException');
  },

  async 'SMS code'() {
    const next = await signIn('sms');
    assert.equal(next.signInStep, 'CONFIRM_SIGN_IN_WITH_SMS_CODE');
    assert.deepEqual(next.codeDeliveryDetails, {
      deliveryMedium: 'SMS',
      destination: '+*******0001',
    });
    const sent = await code('sms');
    await fails(answer(wrong(sent)), 'CodeMismatchException');
    assert.equal((await answer(sent)).signInStep, 'DONE');
  },

  async 'email code'() {
    const next = await signIn('email');
    assert.equal(next.signInStep, 'CONFIRM_SIGN_IN_WITH_EMAIL_CODE');
    assert.equal(next.codeDeliveryDetails.destination, 'e***@e***');
    const sent = await code('email');
    await fails(answer(wrong(sent)), 'CodeMismatchException');
    assert.equal((await answer(sent)).signInStep, 'DONE');
  },

  async 'authenticator code'() {
    assert.equal((await signIn('totp')).signInStep, 'CONFIRM_SIGN_IN_WITH_TOTP_CODE');
    const right = await totp(TOTP);
    await fails(answer(wrong(right)), 'CodeMismatchException');
    assert.equal((await answer(right)).signInStep, 'DONE');
  },

  async 'expired code'() {
    await signIn('sms');
    const sent = await code('sms');
    await advance(200);
    await fails(answer(sent), 'NotAuthorizedException', 'Invalid session for the user, session is expired.');
  },

  async 'choice of the second factor'() {
    const next = await signIn('both');
    assert.equal(next.signInStep, 'CONTINUE_SIGN_IN_WITH_MFA_SELECTION');
    assert.deepEqual(next.allowedMFATypes.sort(), ['SMS', 'TOTP']);
    assert.equal((await answer('TOTP')).signInStep, 'CONFIRM_SIGN_IN_WITH_TOTP_CODE');
    assert.equal((await answer(await totp(TOTP))).signInStep, 'DONE');
  },

  async 'required authenticator is set up'() {
    configure(pools.required);
    const next = await signIn('setup');
    assert.equal(next.signInStep, 'CONTINUE_SIGN_IN_WITH_TOTP_SETUP');
    const right = await totp(next.totpSetupDetails.sharedSecret);
    await fails(answer(wrong(right)), 'EnableSoftwareTokenMFAException');
    assert.equal((await answer(right, { friendlyDeviceName: 'phone' })).signInStep, 'DONE');
    await auth.signOut();
    assert.equal((await signIn('setup')).signInStep, 'CONFIRM_SIGN_IN_WITH_TOTP_CODE');
  },

  async 'temporary password is replaced'() {
    const next = await signIn('new');
    assert.equal(next.signInStep, 'CONFIRM_SIGN_IN_WITH_NEW_PASSWORD_REQUIRED');
    await fails(answer('short'), 'InvalidPasswordException');
    const done = await answer(NEW, { userAttributes: { given_name: 'New' } });
    assert.equal(done.signInStep, 'DONE');
    assert.equal((await auth.fetchUserAttributes()).given_name, 'New');
  },

  async 'custom challenge, without and after a password'() {
    for (const flow of ['CUSTOM_WITHOUT_SRP', 'CUSTOM_WITH_SRP']) {
      const next = await signIn('plain', PASSWORD, flow);
      assert.equal(next.signInStep, 'CONFIRM_SIGN_IN_WITH_CUSTOM_CHALLENGE');
      assert.equal(next.additionalInfo.question, 'Which animal?');
      const again = await answer('donkey');
      assert.equal(again.signInStep, 'CONFIRM_SIGN_IN_WITH_CUSTOM_CHALLENGE');
      assert.equal((await answer('horse')).signInStep, 'DONE');
      await auth.signOut();
    }
  },

  async 'first factor is chosen (USER_AUTH)'() {
    const choose = (preferredChallenge) =>
      auth.signIn({
        username: 'plain',
        options: { authFlowType: 'USER_AUTH', preferredChallenge },
      });
    const select = nextOf(await choose());
    assert.equal(select.signInStep, 'CONTINUE_SIGN_IN_WITH_FIRST_FACTOR_SELECTION');
    const available = ['EMAIL_OTP', 'PASSWORD', 'PASSWORD_SRP'];
    assert.deepEqual([...select.availableChallenges].sort(), available);
    assert.equal((await answer('EMAIL_OTP')).signInStep, 'CONFIRM_SIGN_IN_WITH_EMAIL_CODE');
    assert.equal((await answer(await code('plain'))).signInStep, 'DONE');
    await auth.signOut();

    const sent = nextOf(await choose('EMAIL_OTP'));
    assert.equal(sent.signInStep, 'CONFIRM_SIGN_IN_WITH_EMAIL_CODE');
    assert.equal((await answer(await code('plain'))).signInStep, 'DONE');
    await auth.signOut();

    await choose();
    assert.equal((await answer('PASSWORD')).signInStep, 'CONFIRM_SIGN_IN_WITH_PASSWORD');
    await fails(answer('wrong'), 'NotAuthorizedException', 'Incorrect username or password.');
    await choose();
    await answer('PASSWORD_SRP');
    assert.equal((await answer(PASSWORD)).signInStep, 'DONE');
  },

  async 'forgotten password is reset'() {
    const username = 'forgetful';
    const { nextStep } = await auth.resetPassword({ username });
    assert.equal(nextStep.resetPasswordStep, 'CONFIRM_RESET_PASSWORD_WITH_CODE');
    assert.equal(nextStep.codeDeliveryDetails.destination, 'f***@e***');
    const sent = await code(username);
    const reset = (confirmationCode) =>
      auth.confirmResetPassword({ username, confirmationCode, newPassword: NEW });
    await fails(reset(wrong(sent)), 'CodeMismatchException');
    await reset(sent);
    assert.equal((await signIn(username, NEW)).signInStep, 'DONE');
    await fails(auth.confirmResetPassword({ username, confirmationCode: sent, newPassword: NEW }), 'ExpiredCodeException');
  },

  async 'imported user is sent to the reset where Cognito says so'() {
    await fails(signIn('imported'), 'NotAuthorizedException', 'Incorrect username or password.');
    configure({ ...pools, client_id: pools.legacy_client_id });
    assert.equal((await signIn('imported')).signInStep, 'RESET_PASSWORD');
    await fails(signIn('nobody'), 'UserNotFoundException', 'User does not exist.');
  },

  async 'sign-up is confirmed, and signs in'() {
    const username = 'nina';
    const signUp = (password) =>
      auth.signUp({
        username,
        password,
        options: { userAttributes: { email: 'nina@example.com' }, autoSignIn: true },
      });
    await fails(signUp('short'), 'InvalidPasswordException');
    const made = await signUp(PASSWORD);
    assert.equal(made.nextStep.signUpStep, 'CONFIRM_SIGN_UP');
    assert.equal(made.nextStep.codeDeliveryDetails.attributeName, 'email');
    await fails(signUp(PASSWORD), 'UsernameExistsException', 'User already exists');
    assert.equal((await signIn(username)).signInStep, 'CONFIRM_SIGN_UP');
    assert.equal((await auth.resendSignUpCode({ username })).destination, 'n***@e***');
    const sent = await code(username);
    const confirm = (confirmationCode) => auth.confirmSignUp({ username, confirmationCode });
    await fails(confirm(wrong(sent)), 'CodeMismatchException');
    const confirmed = await confirm(sent);
    assert.equal(confirmed.isSignUpComplete, true);
    if (confirmed.nextStep.signUpStep === 'COMPLETE_AUTO_SIGN_IN') {
      assert.equal(nextOf(await auth.autoSignIn()).signInStep, 'DONE');
    }
  },

  async 'sign-up without a password signs in by its session'() {
    const username = 'nora';
    await auth.signUp({
      username,
      options: {
        userAttributes: { email: 'nora@example.com' },
        autoSignIn: { authFlowType: 'USER_AUTH' },
      },
    });
    const done = await auth.confirmSignUp({ username, confirmationCode: await code(username) });
    assert.equal(done.nextStep.signUpStep, 'COMPLETE_AUTO_SIGN_IN');
    assert.equal(nextOf(await auth.autoSignIn()).signInStep, 'DONE');
    assert.equal((await tokens()).accessToken.payload.username, username);
  },

  async 'remembered device replaces the code'() {
    configure(pools.devices);
    const { pool_id } = pools.devices;
    const flow = ['device', PASSWORD, 'USER_SRP_AUTH'];
    assert.equal((await signIn(...flow)).signInStep, 'CONFIRM_SIGN_IN_WITH_SMS_CODE');
    await answer(await code('device', pool_id));
    await auth.rememberDevice();
    assert.equal((await auth.fetchDevices()).length, 1);
    await auth.signOut();
    assert.equal((await signIn(...flow)).signInStep, 'DONE');
    assert.equal((await state('device', pool_id)).messages.length, 1);
    await auth.forgetDevice();
    await auth.signOut();
    const next = await signIn('device');
    assert.equal(next.signInStep, 'CONFIRM_SIGN_IN_WITH_SMS_CODE');
  },

  async 'session is renewed, and ends everywhere'() {
    await signIn('plain');
    const before = (await tokens()).accessToken.toString();
    const renewed = (await auth.fetchAuthSession({ forceRefresh: true })).tokens;
    assert.notEqual(renewed.accessToken.toString(), before);
    assert.deepEqual(await call('GlobalSignOut', { AccessToken: before }), {});
    await fails(auth.fetchUserAttributes(), 'NotAuthorizedException', 'Access Token has been revoked');
    // The library takes this as the end of the session.
    assert.equal((await auth.fetchAuthSession({ forceRefresh: true })).tokens, undefined);
    await fails(auth.getCurrentUser(), 'UserUnAuthenticatedException');
  },

  async 'global sign-out'() {
    await signIn('plain');
    await auth.signOut({ global: true });
    await fails(auth.getCurrentUser(), 'UserUnAuthenticatedException');
  },

  async 'attributes are changed and verified'() {
    await signIn('attributes');
    await auth.updateUserAttributes({ userAttributes: { nickname: 'Atty' } });
    assert.equal((await auth.fetchUserAttributes()).nickname, 'Atty');
    await auth.deleteUserAttributes({ userAttributeKeys: ['nickname'] });
    assert.equal((await auth.fetchUserAttributes()).nickname, undefined);
    const change = (value) =>
      auth.updateUserAttribute({ userAttribute: { attributeKey: 'email', value } });
    await fails(change('no address'), 'InvalidParameterException', 'Invalid email address format.');
    await change('atty@example.com');
    const userAttributeKey = 'email';
    await auth.sendUserAttributeVerificationCode({ userAttributeKey });
    const sent = await code('attributes');
    const confirm = (confirmationCode) =>
      auth.confirmUserAttribute({ userAttributeKey, confirmationCode });
    await fails(confirm(wrong(sent)), 'CodeMismatchException');
    await confirm(sent);
    assert.equal((await auth.fetchUserAttributes()).email_verified, 'true');
  },

  async 'password is changed'() {
    await signIn('changes');
    const change = (oldPassword) => auth.updatePassword({ oldPassword, newPassword: NEW });
    await fails(change('wrong-Horse-1'), 'NotAuthorizedException', 'Incorrect username or password.');
    await change(PASSWORD);
    await auth.signOut();
    assert.equal((await signIn('changes', NEW)).signInStep, 'DONE');
  },

  async 'authenticator app is added'() {
    await signIn('adds');
    const { sharedSecret } = await auth.setUpTOTP();
    await auth.verifyTOTPSetup({ code: await totp(sharedSecret) });
    await auth.updateMFAPreference({ totp: 'PREFERRED' });
    assert.deepEqual(await auth.fetchMFAPreference(), { enabled: ['TOTP'], preferred: 'TOTP' });
    await auth.updateMFAPreference({ totp: 'DISABLED' });
    assert.equal((await auth.fetchMFAPreference()).enabled, undefined);
  },

  async 'passkeys are listed'() {
    await signIn('plain');
    assert.deepEqual((await auth.listWebAuthnCredentials()).credentials, []);
  },

  async 'user is deleted'() {
    await signIn('deleted');
    await auth.deleteUser();
    await fails(signIn('deleted'), 'NotAuthorizedException', 'Incorrect username or password.');
  },
};

run(signedOut(scenarios));
