// AWS SDK for JavaScript, version 3: its commands, paginators and exception classes. For SRP it needs
// cognito-srp-helper.
const assert = require('node:assert/strict');
const sdk = require('@aws-sdk/client-cognito-identity-provider');
const srp = require('cognito-srp-helper');
const { code, pools, run, totp, wrong } = require('./scenarios.cjs');

const PASSWORD = 'Correct-horse-1';
const NEW = 'Better-horse-2';

const client = new sdk.CognitoIdentityProviderClient({
  region: 'us-east-1',
  endpoint: pools.endpoint,
  credentials: { accessKeyId: 'unused', secretAccessKey: 'unused' },
});
const ClientId = pools.client_id;
const UserPoolId = pools.pool_id;

const send = (operation, request) => client.send(new sdk[`${operation}Command`](request));

// The SDK has a class for each exception that the operation's model has.
const fails = (promise, name, message) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof sdk[name], `${error.name}: ${error.message}`);
    if (message) assert.equal(error.message, message);
    assert.match(error.$metadata.requestId, /^[0-9a-f-]{36}$/);
    assert.equal(error.$metadata.httpStatusCode, 400);
    return true;
  });

const begin = (USERNAME, PASSWORD_ = PASSWORD) =>
  send('InitiateAuth', {
    ClientId,
    AuthFlow: 'USER_PASSWORD_AUTH',
    AuthParameters: { USERNAME, PASSWORD: PASSWORD_ },
  });

const answer = (ChallengeName, Session, ChallengeResponses) =>
  send('RespondToAuthChallenge', { ClientId, ChallengeName, Session, ChallengeResponses });

const signIn = async (name, password) => (await begin(name, password)).AuthenticationResult;

run({
  async 'exceptions have their classes and words'() {
    const words = ['NotAuthorizedException', 'Incorrect username or password.'];
    await fails(begin('plain', 'wrong'), ...words);
    await fails(begin('nobody'), ...words);
    await fails(begin('disabled'), ...words);
    await fails(
      send('InitiateAuth', { ClientId: 'none', AuthFlow: 'USER_PASSWORD_AUTH', AuthParameters: {} }),
      'ResourceNotFoundException',
      'User pool client none does not exist.',
    );
    await fails(
      send('DescribeUserPool', { UserPoolId: 'us-east-1_none' }),
      'ResourceNotFoundException',
      'User pool us-east-1_none does not exist.',
    );
    await fails(
      send('SignUp', { ClientId, Username: 'x', Password: ' x' }),
      'InvalidParameterException',
      "1 validation error detected: Value at 'password' failed to satisfy constraint: " +
        'Member must satisfy regular expression pattern: ^[\\S]+.*[\\S]+$',
    );
    await fails(
      answer('SMS_MFA', 'x'.repeat(30), { USERNAME: 'plain', SMS_MFA_CODE: '123456' }),
      'NotAuthorizedException',
    );
    await fails(send('GetUser', { AccessToken: 'none' }), 'NotAuthorizedException', 'Invalid Access Token');
  },

  async 'SMS code'() {
    const asked = await begin('sms');
    assert.equal(asked.ChallengeName, 'SMS_MFA');
    assert.equal(asked.ChallengeParameters.CODE_DELIVERY_DELIVERY_MEDIUM, 'SMS');
    const sent = await code('sms');
    const give = (SMS_MFA_CODE) =>
      answer('SMS_MFA', asked.Session, { USERNAME: 'sms', SMS_MFA_CODE });
    await fails(give(wrong(sent)), 'CodeMismatchException');
    const { AuthenticationResult: result, ChallengeParameters } = await give(sent);
    assert.deepEqual(ChallengeParameters, {});
    assert.equal(result.TokenType, 'Bearer');
    assert.equal(result.ExpiresIn, 3600);
    assert.equal((await send('GetUser', { AccessToken: result.AccessToken })).Username, 'sms');
  },

  async 'first-factor code (USER_AUTH)'() {
    const asked = await send('InitiateAuth', {
      ClientId,
      AuthFlow: 'USER_AUTH',
      AuthParameters: { USERNAME: 'plain' },
    });
    assert.equal(asked.ChallengeName, 'SELECT_CHALLENGE');
    assert.ok(asked.AvailableChallenges.includes('EMAIL_OTP'));
    const chosen = await answer('SELECT_CHALLENGE', asked.Session, {
      USERNAME: 'plain',
      ANSWER: 'EMAIL_OTP',
    });
    assert.equal(chosen.ChallengeName, 'EMAIL_OTP');
    const sent = await code('plain');
    const done = await answer('EMAIL_OTP', chosen.Session, {
      USERNAME: 'plain',
      EMAIL_OTP_CODE: sent,
    });
    assert.ok(done.AuthenticationResult.AccessToken);
  },

  async 'custom challenge'() {
    const asked = await send('InitiateAuth', {
      ClientId,
      AuthFlow: 'CUSTOM_AUTH',
      AuthParameters: { USERNAME: 'plain' },
    });
    assert.equal(asked.ChallengeParameters.question, 'Which animal?');
    const give = (ANSWER) =>
      answer('CUSTOM_CHALLENGE', asked.Session, { USERNAME: 'plain', ANSWER });
    assert.ok((await give('horse')).AuthenticationResult);
  },

  async 'authenticator is set up during the sign-in'() {
    const { pool_id, client_id } = pools.required;
    const mine = (operation, request) => send(operation, { ClientId: client_id, ...request });
    const AuthParameters = { USERNAME: 'setup', PASSWORD };
    const asked = await mine('InitiateAuth', { AuthFlow: 'USER_PASSWORD_AUTH', AuthParameters });
    assert.equal(asked.ChallengeName, 'MFA_SETUP');
    assert.deepEqual(JSON.parse(asked.ChallengeParameters.MFAS_CAN_SETUP), ['SOFTWARE_TOKEN_MFA']);
    const made = await send('AssociateSoftwareToken', { Session: asked.Session });
    const verified = await send('VerifySoftwareToken', {
      Session: made.Session,
      UserCode: await totp(made.SecretCode),
    });
    assert.equal(verified.Status, 'SUCCESS');
    const done = await mine('RespondToAuthChallenge', {
      ChallengeName: 'MFA_SETUP',
      Session: verified.Session,
      ChallengeResponses: { USERNAME: 'setup' },
    });
    assert.ok(done.AuthenticationResult.RefreshToken);
    const found = await send('AdminGetUser', { UserPoolId: pool_id, Username: 'setup' });
    assert.deepEqual(found.UserMFASettingList, ['SOFTWARE_TOKEN_MFA']);
  },

  async 'pool, client and users are provisioned'() {
    const { UserPool: pool } = await send('CreateUserPool', {
      PoolName: 'made',
      UsernameAttributes: ['email'],
      AutoVerifiedAttributes: ['email'],
      Policies: { PasswordPolicy: { MinimumLength: 12, RequireSymbols: false } },
      Schema: [{ Name: 'team', AttributeDataType: 'String', Mutable: true }],
    });
    assert.ok(pool.CreationDate instanceof Date);
    const inPool = { UserPoolId: pool.Id };
    const { UserPoolClient: made } = await send('CreateUserPoolClient', {
      ...inPool,
      ClientName: 'app',
      ExplicitAuthFlows: ['ALLOW_ADMIN_USER_PASSWORD_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],
      AccessTokenValidity: 5,
      TokenValidityUnits: { AccessToken: 'minutes' },
    });
    assert.equal(made.ClientSecret, undefined);

    for (const index of [1, 2, 3]) {
      const { User: user } = await send('AdminCreateUser', {
        ...inPool,
        Username: `user${index}@example.com`,
        TemporaryPassword: 'temporary-Horse-1',
        UserAttributes: [
          { Name: 'email', Value: `user${index}@example.com` },
          { Name: 'custom:team', Value: `team ${index}` },
        ],
        MessageAction: 'SUPPRESS',
      });
      assert.equal(user.UserStatus, 'FORCE_CHANGE_PASSWORD');
      assert.match(user.Username, /^[0-9a-f-]{36}$/);
    }
    const listed = [];
    for await (const page of sdk.paginateListUsers({ client, pageSize: 2 }, { ...inPool })) {
      listed.push(page.Users.length);
    }
    assert.deepEqual(listed, [2, 1]);
    const filtered = await send('ListUsers', { ...inPool, Filter: 'email ^= "user2"' });
    assert.equal(filtered.Users.length, 1);

    const Username = 'user1@example.com';
    const set = (Password) =>
      send('AdminSetUserPassword', { ...inPool, Username, Password, Permanent: true });
    await fails(set('Short-1'), 'InvalidPasswordException');
    await set('long-enough-Horse1');
    const { AuthenticationResult: result } = await send('AdminInitiateAuth', {
      ...inPool,
      ClientId: made.ClientId,
      AuthFlow: 'ADMIN_USER_PASSWORD_AUTH',
      AuthParameters: { USERNAME: Username, PASSWORD: 'long-enough-Horse1' },
    });
    assert.equal(result.ExpiresIn, 300);

    await send('CreateGroup', { ...inPool, GroupName: 'staff', Precedence: 1 });
    await send('AdminAddUserToGroup', { ...inPool, Username, GroupName: 'staff' });
    const members = await send('ListUsersInGroup', { ...inPool, GroupName: 'staff' });
    assert.equal(members.Users.length, 1);
    await send('AdminUserGlobalSignOut', { ...inPool, Username });
    const revoked = send('GetUser', { AccessToken: result.AccessToken });
    await fails(revoked, 'NotAuthorizedException', 'Access Token has been revoked');
    await send('AdminDisableUser', { ...inPool, Username });
    assert.equal((await send('AdminGetUser', { ...inPool, Username })).Enabled, false);
    await send('AdminDeleteUser', { ...inPool, Username });
    const gone = send('AdminGetUser', { ...inPool, Username });
    await fails(gone, 'UserNotFoundException', 'User does not exist.');
    await send('DeleteUserPoolClient', { ...inPool, ClientId: made.ClientId });
    await send('DeleteUserPool', inPool);
    await fails(send('DescribeUserPool', inPool), 'ResourceNotFoundException');
  },

  async 'tokens are renewed and revoked'() {
    const first = await signIn('plain');
    const renew = () =>
      send('GetTokensFromRefreshToken', { ClientId, RefreshToken: first.RefreshToken });
    const { AuthenticationResult: second } = await renew();
    assert.notEqual(second.AccessToken, first.AccessToken);
    await send('RevokeToken', { ClientId, Token: first.RefreshToken });
    await fails(renew(), 'NotAuthorizedException', 'Refresh Token has been revoked');
    const revoked = send('GetUser', { AccessToken: second.AccessToken });
    await fails(revoked, 'NotAuthorizedException', 'Access Token has been revoked');
    await fails(
      send('RevokeToken', { ClientId, Token: first.AccessToken }),
      'UnsupportedTokenTypeException',
    );
  },

  async 'password, attributes and factors are changed'() {
    const { AccessToken } = await signIn('changes');
    const change = (PreviousPassword) =>
      send('ChangePassword', { AccessToken, PreviousPassword, ProposedPassword: NEW });
    await fails(change('wrong-Horse-1'), 'NotAuthorizedException', 'Incorrect username or password.');
    await change(PASSWORD);
    assert.ok(await signIn('changes', NEW));
    const { CodeDeliveryDetailsList: sent } = await send('UpdateUserAttributes', {
      AccessToken,
      UserAttributes: [{ Name: 'nickname', Value: 'Chan' }],
    });
    assert.ok(sent === undefined || sent.length === 0);
    const factors = await send('GetUserAuthFactors', { AccessToken });
    assert.ok(factors.ConfiguredUserAuthFactors.includes('PASSWORD'));
    const preference = { Enabled: true, PreferredMfa: true };
    await send('SetUserMFAPreference', { AccessToken, EmailMfaSettings: preference });
    assert.equal((await begin('changes', NEW)).ChallengeName, 'EMAIL_OTP');
  },

  async 'forgotten password is reset'() {
    const Username = 'forgetful';
    const asked = await send('ForgotPassword', { ClientId, Username });
    assert.equal(asked.CodeDeliveryDetails.AttributeName, 'email');
    const sent = await code(Username);
    const reset = (ConfirmationCode) =>
      send('ConfirmForgotPassword', { ClientId, Username, ConfirmationCode, Password: NEW });
    await fails(reset(wrong(sent)), 'CodeMismatchException');
    await reset(sent);
    await fails(reset(sent), 'ExpiredCodeException');
    assert.ok(await signIn(Username, NEW));
    // Unknown users, and what was asked for in their name, look alike.
    const unknown = await send('ForgotPassword', { ClientId, Username: 'nobody' });
    assert.equal(unknown.CodeDeliveryDetails.DeliveryMedium, 'EMAIL');
  },

  async 'SRP with a client secret, and a device that replaces the code'() {
    const { pool_id } = pools.devices;
    const { UserPoolClient: app } = await send('CreateUserPoolClient', {
      UserPoolId: pool_id,
      ClientName: 'confidential',
      GenerateSecret: true,
    });
    const USERNAME = 'device';
    const SECRET_HASH = srp.createSecretHash(USERNAME, app.ClientId, app.ClientSecret);
    const device = {};
    const respond = (ChallengeName, Session, signed, more = {}) =>
      send(
        'RespondToAuthChallenge',
        srp.wrapAuthChallenge(signed, {
          ClientId: app.ClientId,
          ChallengeName,
          Session,
          ChallengeResponses: { USERNAME, SECRET_HASH, ...device.parameters, ...more },
        }),
      );
    const proven = async (password) => {
      const session = srp.createSrpSession(USERNAME, password, pool_id, false);
      const request = srp.wrapInitiateAuth(session, {
        ClientId: app.ClientId,
        AuthFlow: 'USER_SRP_AUTH',
        AuthParameters: { USERNAME, SECRET_HASH, ...device.parameters },
      });
      const begun = await send('InitiateAuth', request);
      const signed = srp.signSrpSession(session, begun);
      return { session, signed, asked: await respond('PASSWORD_VERIFIER', begun.Session, signed) };
    };

    await fails(proven('wrong'), 'NotAuthorizedException', 'Incorrect username or password.');
    const { asked, signed } = await proven(PASSWORD);
    assert.equal(asked.ChallengeName, 'SMS_MFA');
    const given = { SMS_MFA_CODE: await code(USERNAME, pool_id) };
    const { AuthenticationResult: first } = await respond('SMS_MFA', asked.Session, signed, given);
    const { DeviceKey, DeviceGroupKey } = first.NewDeviceMetadata;
    const { DeviceSecretVerifierConfig, DeviceRandomPassword } = srp.createDeviceVerifier(
      DeviceKey,
      DeviceGroupKey,
    );
    const { AccessToken } = first;
    const named = { AccessToken, DeviceKey };
    const confirmed = await send('ConfirmDevice', { ...named, DeviceSecretVerifierConfig });
    assert.equal(confirmed.UserConfirmationNecessary, true);
    await send('UpdateDeviceStatus', { ...named, DeviceRememberedStatus: 'remembered' });

    device.parameters = { DEVICE_KEY: DeviceKey };
    const second = await proven(PASSWORD);
    assert.equal(second.asked.ChallengeName, 'DEVICE_SRP_AUTH');
    const begun = await respond('DEVICE_SRP_AUTH', second.asked.Session, second.signed);
    const withDevice = srp.signSrpSessionWithDevice(
      second.session,
      begun,
      DeviceGroupKey,
      DeviceRandomPassword,
    );
    const done = await respond('DEVICE_PASSWORD_VERIFIER', begun.Session, withDevice);
    assert.ok(done.AuthenticationResult.AccessToken);
    const found = await send('AdminListDevices', { UserPoolId: pool_id, Username: USERNAME });
    assert.equal(found.Devices[0].DeviceKey, DeviceKey);
  },

  async 'the seed is described'() {
    const { UserPool: pool } = await send('DescribeUserPool', { UserPoolId });
    assert.equal(pool.Id, UserPoolId);
    const { UserPools: all } = await send('ListUserPools', { MaxResults: 60 });
    assert.ok(all.some((one) => one.Id === UserPoolId));
    const { UserPoolClient: app } = await send('DescribeUserPoolClient', { UserPoolId, ClientId });
    assert.equal(app.ClientId, ClientId);
  },
});
