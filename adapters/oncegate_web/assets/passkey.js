// Passkeys: WebAuthn's JSON forms if the browser has them, otherwise our own translation.
const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const withBytes = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

const create = (options) => {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON
    ? PublicKeyCredential.parseCreationOptionsFromJSON(options)
    : {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: withBytes(options.excludeCredentials),
      };
  return navigator.credentials.create({ publicKey });
};

const get = (options) => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON
    ? PublicKeyCredential.parseRequestOptionsFromJSON(options)
    : {
        ...options,
        challenge: bytes(options.challenge),
        allowCredentials: withBytes(options.allowCredentials),
      };
  return navigator.credentials.get({ publicKey });
};

// Options with parameters of a key are those of a new passkey.
export const passkey = async (json) => {
  const options = JSON.parse(json);
  const made = /** @type {any} */ (await (options.pubKeyCredParams ? create : get)(options));
  if (made.toJSON) return JSON.stringify(made.toJSON());
  const { authenticatorData, clientDataJSON, signature, userHandle, attestationObject } = made.response;
  const response = attestationObject
    ? {
        attestationObject: text(attestationObject),
        clientDataJSON: text(clientDataJSON),
        transports: made.response.getTransports?.() || [],
      }
    : {
        authenticatorData: text(authenticatorData),
        clientDataJSON: text(clientDataJSON),
        signature: text(signature),
        userHandle: userHandle ? text(userHandle) : null,
      };
  return JSON.stringify({
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    clientExtensionResults: made.getClientExtensionResults(),
    response,
  });
};
