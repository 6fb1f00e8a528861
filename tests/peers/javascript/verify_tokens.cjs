// aws-jwt-verify, with the keys that are given: prints for each case "valid", or the error's name.
const { CognitoJwtVerifier, JwtVerifier } = require('aws-jwt-verify');

const verify = async ({ kind, token, create, properties, jwks }) => {
  const verifiers = { cognito: CognitoJwtVerifier, any: JwtVerifier };
  try {
    const verifier = verifiers[kind].create(create);
    verifier.cacheJwks(jwks);
    await verifier.verify(token, properties);
    return 'valid';
  } catch (error) {
    return error.constructor.name;
  }
};

let input = '';
process.stdin.on('data', (data) => (input += data));
process.stdin.on('end', async () => {
  const results = [];
  for (const one of JSON.parse(input)) results.push(await verify(one));
  console.log(JSON.stringify(results));
});
