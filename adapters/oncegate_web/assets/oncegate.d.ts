/** Types of oncegate.js. The OpenAPI document, at `<prefix>/openapi.json`, describes the whole API. */

/** Code of a message: stable, for programs. Texts may change, and are in the user's language. */
export type MessageCode =
  | "account_deleted" | "address_changed" | "address_outcome_unknown" | "address_refused"
  | "address_replaced"
  | "address_taken" | "address_verified" | "administrator_must_act" | "already_tried"
  | "answer_already_tried" | "answer_failed" | "answer_outcome_unknown" | "answer_refused"
  | "attribute_refused" | "attributes_missing" | "authenticator_added" | "blocked" | "cancelled"
  | "challenge_dead" | "challenge_expired" | "change_outcome_unknown" | "change_refused"
  | "change_unavailable" | "code_already_used" | "code_expired" | "code_used" | "confirm_answer"
  | "confirmed" | "device_forgotten" | "device_was_forgotten" | "email_refused" | "factor_changed"
  | "factor_not_set_up" | "factor_unusable" | "finished" | "firewall" | "flow_expired"
  | "in_flight" | "input_refused" | "invalid_input" | "last_factor" | "limit_exceeded" | "locked"
  | "misconfigured"
  | "new_password_refused" | "new_password_spaces" | "no_more_codes" | "not_accepted"
  | "not_allowed" | "not_confirmed" | "not_offered" | "not_the_same_answer" | "not_this_sign_in"
  | "offered_before"
  | "not_this_user" | "outcome_unknown" | "passkey_added" | "passkey_refused" | "passkey_removed"
  | "passkey_unknown" | "passkeys_too_many" | "password_for_new_code" | "password_for_other_factor"
  | "password_missing" | "password_needs_lowercase" | "password_needs_number"
  | "password_needs_symbol" | "password_needs_uppercase" | "password_reset_required"
  | "password_too_short" | "password_used_before" | "password_was_changed" | "phone_number_refused"
  | "provider_address_taken" | "provider_denied" | "provider_failed" | "recovery_outcome_unknown"
  | "recovery_refused" | "recovery_unavailable" | "refused" | "second_factor_missing"
  | "setup_ended" | "setup_expired" | "sign_in_again" | "sign_up_not_confirmed"
  | "sign_up_outcome_unknown" | "sign_up_refused" | "sign_up_sent" | "signed_in"
  | "signed_out_elsewhere" | "signed_out_everywhere" | "stale" | "stalled" | "throttled"
  | "too_many_codes" | "too_many_guesses" | "too_many_wrong_answers" | "too_many_wrong_codes"
  | "too_soon" | "trigger_refused" | "unknown_challenge" | "unreachable" | "username_missing"
  | "username_refused" | "username_taken" | "wrong_answer" | "wrong_code" | "wrong_credentials"
  | "wrong_password";

/** Code of a problem: the server's, or the module's own. */
export type ProblemCode =
  | "cross_site" | "insecure_connection" | "invalid_event" | "no_such_flow" | "no_such_session"
  | "forbidden" | "not_found" | "not_json" | "not_signed_in" | "sign_in_again" | "store_unavailable"
  | "too_large" | "too_many_requests" | "updating" | "wrong_method"
  | keyof OwnTexts
  /** A problem without a code. */
  | "unknown";

/** Texts for the user of the problems that the module finds itself. They are in English by default. */
export interface OwnTexts {
  /** No answer arrived: the connection broke off, or the server is down. */
  no_answer: string;
  /** Something else answers at this prefix, such as a web server with a page for every path. */
  not_oncegate: string;
  /** The answer is not one of this API, such as a proxy's error page. */
  bad_answer: string;
  /** The user declined to use a passkey, or has none in this browser. */
  no_passkey: string;
  /** The user declined to create a passkey, or this browser cannot, or has one of this account. */
  no_new_passkey: string;
}

/** A factor of the user pool, by Cognito's name. */
export type Factor =
  | "SMS_MFA" | "EMAIL_OTP" | "SOFTWARE_TOKEN_MFA" | "SMS_OTP" | "WEB_AUTHN" | "PASSWORD";

/** How Cognito sent a code. */
export type Medium = "SMS" | "EMAIL" | "";

/** What to tell the user. */
export interface Message {
  readonly code: MessageCode;
  /** How it is shown. */
  readonly kind: "error" | "info" | "good";
  readonly text: string;
  /** Cognito's own words, if they are for users; the name of a challenge. */
  readonly detail: string;
  /** Name of the main action's field that the message is about, or null. */
  readonly field: string | null;
}

/** One value that a field can take. */
export interface Choice<Value extends string = string> {
  readonly value: Value;
  readonly label: string;
  /** What follows from the choice, in one sentence; empty if the label says enough. */
  readonly hint: string;
}

/** One rule for a new password. The server decides whether a password is accepted. */
export interface PasswordRule {
  readonly label: string;
  /** Regular expression. A password that contains a match meets the rule. */
  readonly pattern: string;
}

/** Values of a field with choices, by its name. */
type ChoiceOf<Name extends string> =
  Name extends "factor" ? Factor : Name extends "remember" ? "true" | "false" : string;

/** One input of an action. `eventOf` makes an event of the values. */
export interface Field<Name extends string = string> {
  readonly name: Name;
  readonly label: string;
  /** What to enter, in one sentence; empty if the label says enough. */
  readonly hint: string;
  /**
   * An HTML input type; `choice` if `choices` has the values; `passkey` for the result of `passkey()`;
   * `authorization` for a parameter of the address to which an identity provider leads back.
   */
  readonly type:
    | "text" | "password" | "email" | "tel" | "date" | "url" | "choice" | "passkey"
    | "authorization";
  readonly autocomplete: string;
  readonly inputmode: "text" | "numeric" | "email" | "tel" | "url";
  /** Regular expression for the whole value. */
  readonly pattern: string | null;
  /** Whether to hide what is typed. */
  readonly secret: boolean;
  readonly required: boolean;
  /** Initial value; always empty for a secret. */
  readonly value: string;
  readonly choices: readonly Choice<ChoiceOf<Name>>[];
  /** Rules for a new password, if the application has set the pool's policy. */
  readonly rules: readonly PasswordRule[];
}

/** Names of the fields of each event. */
interface FieldNames {
  submit_username: "username" | "preferred";
  submit_password: "username" | "password";
  choose_factor: "factor";
  submit_email: "email";
  submit_code: "code";
  submit_passkey: "credential";
  submit_answer: "answer";
  submit_new_password: "new_password" | `attributes.${string}`;
  reset_password: "code" | "new_password";
  remember_device: "remember";
  forgot_password: "username";
  sign_up: "username" | "password" | `attributes.${string}`;
  sign_in_with: "provider";
  submit_authorization: "state" | "code";
  confirm_account: never;
  request_new_code: never;
  cancel: never;
}

/** Type of an event. */
export type EventType = keyof FieldNames;

/** Something that the user can do at a step; a union, by `event`. */
export type Action<Types extends EventType = EventType> = {
  [Type in Types]: {
    readonly event: Type;
    /** Text of the button. */
    readonly label: string;
    /** What to read before the action, in one sentence; empty if there is nothing. */
    readonly hint: string;
    /** Text of a link that shows the action's form, if it is not the main one; empty if the label says enough. */
    readonly summary: string;
    readonly fields: readonly Field<FieldNames[Type]>[];
    /** Whether the step is for this action. The main action comes first. */
    readonly is_main: boolean;
    /** Earliest time for it (ISO 8601); null if it never has to wait. */
    readonly available_at: string | null;
    /** Whole seconds until then, from the time of the answer; 0 if that time has come. */
    readonly available_in: number | null;
  };
}[Types];

/** What all steps have. */
interface StepParts {
  /** Names the flow, and opens nothing; empty if the user is signed in and has none. */
  readonly flow_id: string;
  readonly version: number;
  /** The name that the user typed; empty before that. */
  readonly username: string;
  /** Heading for the step. */
  readonly title: string;
  /** Fields of the main action. */
  readonly fields: readonly Field[];
  /** Destination of the code, masked by Cognito. */
  readonly delivery: { readonly medium: Medium; readonly destination: string } | null;
  /** Cognito's name for what it asks. */
  readonly challenge: string | null;
  /** Differs between any two challenges of a flow. */
  readonly challenge_id: number | null;
  /** Answers that the challenge still takes, if it counts them. */
  readonly attempts_left: number | null;
  /** End of the challenge (ISO 8601). */
  readonly expires_at: string | null;
  /** Whole seconds until then, from the time of the answer: a browser's clock may be wrong. */
  readonly expires_in: number | null;
  /** Earliest time for a new code (ISO 8601); null if there can be none. */
  readonly new_code_at: string | null;
  readonly new_code_in: number | null;
  readonly new_codes_left: number | null;
  /** Argument of `passkey()`. */
  readonly passkey_options: string | null;
  /** Argument of `passkey()` for a new passkey of a user who is signed in. */
  readonly passkey_creation: string | null;
  /** Where the browser goes to sign in with an identity provider. */
  readonly authorize_url: string | null;
  /** Secret for an authenticator app: base32 to be typed, and a URI to be drawn as a QR code. */
  readonly totp: { readonly secret: string; readonly uri: string } | null;
  /** Public parameters of a custom challenge, from the pool's Lambda. */
  readonly parameters: Readonly<Record<string, string>> | null;
  /** Why the flow is here. */
  readonly message: Message | null;
  /** Why the event that was sent changed nothing. */
  readonly reason: Message | null;
  /** Whether the user has set a new password in this flow. */
  readonly password_changed: boolean;
}

interface StepIn<State extends string, Types extends EventType> extends StepParts {
  readonly state: State;
  /** The user's possible actions; the main one first. */
  readonly actions: readonly Action<Types>[];
  /** The events of the actions. `includes` takes any event. */
  readonly events: readonly EventType[];
}

/** A call to Cognito is under way. The module waits for it, so these steps are seen by subscribers only. */
type InFlight =
  | "checking_password" | "requesting_challenge" | "checking_answer" | "setting_password"
  | "creating_account" | "exchanging_code" | "checking_device" | "registering_device"
  | "remembering_device";

/** The current step of a sign-in, and what the user can do there; a union, by `state`. */
export type Step =
  | StepIn<
      "idle",
      | "submit_username" | "submit_password" | "forgot_password" | "sign_up" | "sign_in_with"
      | "confirm_account" | "cancel"
    >
  | StepIn<"password_verified", "choose_factor" | "cancel">
  | StepIn<"choosing_first_factor", "choose_factor" | "cancel">
  | StepIn<"awaiting_password", "submit_password" | "choose_factor" | "forgot_password" | "cancel">
  | (StepIn<"awaiting_mfa", "submit_code" | "choose_factor" | "request_new_code" | "cancel"> & {
      readonly challenge: "SMS_MFA" | "EMAIL_OTP" | "SOFTWARE_TOKEN_MFA" | "SMS_OTP";
    })
  | (StepIn<"setting_up_totp", "submit_code" | "cancel"> & {
      readonly totp: { readonly secret: string; readonly uri: string };
    })
  | StepIn<"setting_up_email", "submit_email" | "choose_factor" | "cancel">
  | (StepIn<"awaiting_passkey", "submit_passkey" | "choose_factor" | "cancel"> & {
      readonly passkey_options: string;
    })
  | (StepIn<"awaiting_answer", "submit_answer" | "cancel"> & {
      readonly parameters: Readonly<Record<string, string>>;
    })
  | StepIn<"awaiting_confirmation", "submit_code" | "request_new_code" | "cancel">
  | StepIn<"awaiting_new_password", "submit_new_password" | "cancel">
  | StepIn<"awaiting_reset", "reset_password" | "request_new_code" | "cancel">
  /** The pool refused what was entered for a new account. */
  | StepIn<"signing_up", "sign_up" | "cancel">
  /** The browser goes to `authorize_url`, and comes back with what `submit_authorization` takes. */
  | (StepIn<"awaiting_provider", "submit_authorization" | "cancel"> & {
      readonly authorize_url: string;
    })
  | StepIn<"offering_device", "remember_device">
  /** With an action, the response was lost: the user enters the same answer once more. */
  | StepIn<
      "authenticated",
      | "submit_password" | "submit_code" | "submit_answer" | "submit_new_password" | "reset_password"
      | "sign_up"
    >
  /** The sign-in has ended; `start()` begins another. */
  | StepIn<"failed", never>
  | StepIn<InFlight, never>;

/** State of a sign-in. */
export type State = Step["state"];

/** The step of one state. */
export type StepOf<Of extends State> = Extract<Step, { readonly state: Of }>;

/** What goes with one event, and is not stored. */
export interface EventContext {
  /**
   * For the pool's Lambda triggers, such as a CAPTCHA token. Names that the application does not allow
   * (`client_metadata_from_browser`) are left out.
   */
  client_metadata?: Record<string, string>;
  /** For threat protection: the result of `AmazonCognitoAdvancedSecurityData.getData`. */
  encoded_data?: string;
}

/** What the user does, for `send`; a union, by `type`. */
export type SignInEvent = { context?: EventContext } & (
  | {
      type: "submit_password";
      username?: string;
      password: string;
      /** Whether the session outlives the browser. */
      keep_signed_in?: boolean;
    }
  | {
      type: "submit_username";
      username: string;
      /** First factor to begin with. */
      preferred?: Factor;
      access_token?: string;
      keep_signed_in?: boolean;
    }
  | { type: "choose_factor"; factor: Factor }
  | { type: "submit_email"; email: string }
  | { type: "submit_code"; code: string; remember_device?: boolean }
  | { type: "submit_passkey"; credential: string }
  | { type: "submit_answer"; answer: string }
  | { type: "submit_new_password"; new_password: string; attributes?: Record<string, string> }
  | { type: "reset_password"; code: string; new_password: string }
  | { type: "remember_device"; remember?: boolean }
  | { type: "forgot_password"; username?: string; keep_signed_in?: boolean }
  | {
      type: "sign_up";
      username: string;
      password?: string;
      attributes?: Record<string, string>;
      keep_signed_in?: boolean;
    }
  | { type: "sign_in_with"; provider: string; keep_signed_in?: boolean }
  /** The parameters of the address to which the provider leads back: a code or an error. */
  | {
      type: "submit_authorization";
      state: string;
      code?: string;
      error?: string;
      error_description?: string;
    }
  | { type: "confirm_account" }
  | { type: "request_new_code" }
  | { type: "cancel" }
);

/** The event of one type. */
export type EventOf<Type extends EventType> = Extract<SignInEvent, { type: Type }>;

/** Events of a user who is signed in, and the names of their fields. */
interface AccountFieldNames {
  submit_code: "code";
  submit_passkey: "credential";
  request_new_code: never;
  add_authenticator: "name";
  submit_address: "attribute" | "address";
  add_passkey: "name";
  use_factor: "factor" | "use";
  change_password: "password" | "new_password";
  remove_passkey: "key";
  forget_device: "key";
  sign_out_everywhere: never;
  delete_account: never;
  offer_factor: never;
  cancel: never;
}

/** Type of an event with which a user changes the account. */
export type AccountEventType = keyof AccountFieldNames;

/** Something that the user can do with the account; a union, by `event`. */
export type AccountAction<Types extends AccountEventType = AccountEventType> = {
  [Type in Types]: Omit<Action, "event" | "fields"> & {
    readonly event: Type;
    readonly fields: readonly Field<AccountFieldNames[Type]>[];
  };
}[Types];

interface AccountStepIn<In extends string, Types extends AccountEventType> extends StepParts {
  readonly state: In;
  /** The user's possible actions. */
  readonly actions: readonly AccountAction<Types>[];
  /** The events of the actions. `includes` takes any event. */
  readonly events: readonly AccountEventType[];
}

/** A call to Cognito is under way. The module waits for it. */
type AccountInFlight = "requesting_setup" | "checking_setup" | "changing" | "finding_factors";

/**
 * The current step of a change of the account; a union, by `state`. If its `reason` has the code
 * `sign_in_again`, the user has to sign in again first: `signInAgainUrl()`, or `start()` of the sign-in.
 */
export type AccountStep =
  | AccountStepIn<
      "managing",
      | "add_authenticator" | "submit_address" | "add_passkey" | "use_factor" | "change_password"
      | "remove_passkey" | "forget_device" | "sign_out_everywhere" | "delete_account"
    >
  | (AccountStepIn<"confirming_authenticator", "submit_code" | "cancel"> & {
      readonly totp: { readonly secret: string; readonly uri: string };
    })
  | AccountStepIn<"confirming_address", "submit_code" | "request_new_code" | "cancel">
  | (AccountStepIn<"registering_passkey", "submit_passkey" | "cancel"> & {
      readonly passkey_creation: string;
    })
  /** A user without a second factor can add one; `cancel` is "Not now". */
  | AccountStepIn<"offering_factor", "add_authenticator" | "add_passkey" | "cancel">
  /** The session has ended, as its `message` says. */
  | AccountStepIn<"closed", never>
  | AccountStepIn<AccountInFlight, never>;

/** Where a change of the account is. */
export type AccountState = AccountStep["state"];

/** What the user does with the account, for `send`; a union, by `type`. */
export type AccountEvent = { context?: EventContext } & (
  | { type: "submit_code"; code: string; remember_device?: boolean }
  | { type: "submit_passkey"; credential: string }
  | { type: "request_new_code" }
  | { type: "add_authenticator"; name?: string }
  | { type: "submit_address"; attribute: "email" | "phone_number"; address: string }
  | { type: "add_passkey"; name?: string }
  | {
      type: "use_factor";
      factor: "SMS_MFA" | "EMAIL_OTP" | "SOFTWARE_TOKEN_MFA";
      use?: "preferred" | "enabled" | "off";
    }
  | { type: "change_password"; password?: string | null; new_password: string }
  | { type: "remove_passkey"; key: string }
  | { type: "forget_device"; key: string }
  | { type: "sign_out_everywhere" }
  | { type: "delete_account" }
  | { type: "offer_factor"; factors?: ("authenticator" | "passkey")[] }
  | { type: "cancel" }
);

/** The event of one type, for the account. */
export type AccountEventOf<Type extends AccountEventType> = Extract<AccountEvent, { type: Type }>;

/** What an account has. */
export interface AccountOverview {
  readonly username: string;
  /** By attribute: those that the app client may read. */
  readonly addresses: Readonly<Record<string, string>>;
  readonly verified: readonly ("email" | "phone_number")[];
  readonly second_factors: readonly ("SMS_MFA" | "EMAIL_OTP" | "SOFTWARE_TOKEN_MFA")[];
  readonly preferred: "SMS_MFA" | "EMAIL_OTP" | "SOFTWARE_TOKEN_MFA" | null;
  readonly passkeys: readonly {
    readonly key: string;
    readonly name: string;
    readonly created_at: string | null;
  }[];
  readonly devices: readonly {
    readonly key: string;
    readonly name: string;
    readonly last_signed_in_at: string | null;
  }[];
  /** Null if the app client cannot tell. */
  readonly has_password: boolean | null;
}

/** What the account has, and the step of its change. */
export interface AccountStatus {
  readonly account: AccountOverview;
  readonly step: AccountStep;
}

/** The user who is signed in. */
export interface User {
  readonly username: string;
  /** Claims of the ID token. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** The user who is signed in, or null, and the step that a page would show. */
export interface Status {
  readonly user: User | null;
  readonly step: Step;
}

/** One session of a user. Browser and platform may be made up; the place is the application's. */
export interface ListedSession {
  readonly name: string;
  readonly is_current: boolean;
  readonly begun_at: string;
  readonly seen_at: string;
  readonly address: string;
  readonly browser: string;
  readonly platform: string;
  /** What the application calls the place of the address; empty if it has no name for it. */
  readonly place: string;
}

/** An error that the server reports (RFC 9457), or that the answer is not the server's. */
export class Problem extends Error {
  /** HTTP status; 0 if no answer arrived. */
  readonly status: number;
  readonly code: ProblemCode;
  /** What happened, for the user, in the user's language; see `OwnTexts`. */
  override readonly message: string;
  /** What happened, for developers. */
  readonly detail: string;
  /** Texts for the user, by names of fields, if fields are invalid. */
  readonly fields: Readonly<Record<string, string>>;
  /** Seconds after which the request can be made again (Retry-After). */
  readonly retryAfter: number | null;
}

/** What `SignIn` and `createOncegate` can be given. Objects that share what is under way share it, too. */
export interface ClientOptions {
  /** Makes the requests. Default: the browser's. */
  fetch?: typeof fetch;
  /** Language of the texts, such as `de`, for `Accept-Language`. Default: the browser's. */
  language?: string;
  /** Texts of the module's own problems. */
  texts?: Partial<OwnTexts>;
  /** Returns what goes with an event that has no `context` of its own, each time that it is sent. */
  context?: (
    event: SignInEvent | AccountEvent,
  ) => EventContext | undefined | Promise<EventContext | undefined>;
}

/** One user's sign-in. Objects with the same prefix and the same `fetch` share what is under way. */
export class SignIn {
  /** @param prefix Where the sign-in is mounted. Default: `/auth`. */
  constructor(prefix?: string, options?: ClientOptions);
  /** The step that this object received last, which is what its user saw; null after a sign-out. */
  get step(): Step | null;
  /** Begin a sign-in; this browser's own if it has one that is not over. Sends nothing. */
  start(): Promise<Step>;
  /** Return the step that a page would show. Waits for a call under way. Sends nothing. */
  resume(): Promise<Step>;
  /**
   * Send an event for the step that the user saw. A double click is one request: an equal event joins
   * the one under way, and its answer for a second.
   */
  send(event: SignInEvent): Promise<Step>;
  /** Return the user who is signed in, or null, and the step that a page would show. */
  status(): Promise<Status>;
  /** Return the user who is signed in, or null. */
  session(): Promise<User | null>;
  /** Sign out. Returns where the browser has to go to sign out at managed login, or null. */
  signOut(): Promise<string | null>;
  /** Return the sessions of the user, the one seen last first. */
  sessions(): Promise<ListedSession[]>;
  /** End one of them. Another browser's needs a recent sign-in: otherwise a Problem `sign_in_again`. */
  endSession(name: string): Promise<void>;
  /** End all sessions of the user: here, and wherever else this user pool is used. Returns as `signOut`. */
  signOutEverywhere(): Promise<string | null>;
}

/**
 * The account of the user who is signed in, if the application has `account=True`. Objects with the same
 * prefix and the same `fetch` share what is under way, with those of the sign-in.
 */
export class Account {
  /** @param prefix Where the sign-in is mounted. Default: `/auth`. */
  constructor(prefix?: string, options?: ClientOptions);
  /** The step that this object received last, which is what its user saw; null before that. */
  get step(): AccountStep | null;
  /** Return what the account has, and the step. Waits for a call under way. Sends nothing. */
  status(): Promise<AccountStatus>;
  /**
   * Send an event for the step that the user saw. A double click is one request: an equal event joins
   * the one under way, and its answer for a second.
   */
  send(event: AccountEvent): Promise<AccountStep>;
  /**
   * Send the event of an action, with the values that the user entered: `eventOf` and `send`. If it needs
   * a new passkey, the browser asks for it; throws a `Problem` (`no_new_passkey`) if there is none.
   */
  submit(
    action: { readonly event: AccountEventType; readonly fields: readonly Field[] },
    values: Values,
  ): Promise<AccountStep>;
  /**
   * Return the URL at which the user signs in again.
   *
   * @param next Where the user comes back to: a path of the same origin. Default: this page.
   */
  signInAgainUrl(next?: string): string;
}

interface SnapshotParts {
  /** What went wrong last; null after the next success. */
  readonly error: Problem | null;
  /** Whether something that the user asked for is under way: buttons are disabled. */
  readonly isPending: boolean;
  /** When the step arrived, in milliseconds (`Date.now()`); its seconds count from there. */
  readonly receivedAt: number;
  /** After a sign-out: where the browser has to go to sign out at managed login, or null. */
  readonly logoutUrl: string | null;
}

/** The state of a sign-in. Frozen; a new object only on a change. */
export type Snapshot =
  /** Also if the first request failed: then with an `error`. */
  | (SnapshotParts & { readonly status: "loading"; readonly step: null; readonly user: null })
  | (SnapshotParts & {
      /** No user is signed in, or the sign-in still has a question (`offering_device`). */
      readonly status: "unauthenticated";
      readonly step: Step | null;
      readonly user: User | null;
    })
  | (SnapshotParts & {
      readonly status: "authenticated";
      readonly step: Step;
      readonly user: User;
    });

/** What happened, and whether this tab or another one did it. */
export interface News {
  readonly type:
    | "loaded" | "signed_in" | "signed_out" | "step_changed" | "session_renewed" | "state_changed";
  readonly from: "here" | "elsewhere";
}

/** The part of a BroadcastChannel that is used. */
export interface Channel {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  removeEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

/** A sign-in to subscribe to. Its methods can be passed on as they are. */
export interface Oncegate {
  /**
   * Call a function after each change, until the function that is returned is called. The first
   * subscription asks for the status; while there is one, other tabs' news are followed.
   */
  readonly subscribe: (listener: (news: News) => void) => () => void;
  readonly getSnapshot: () => Snapshot;
  /** For rendering on a server, where the user is not known yet. */
  readonly getServerSnapshot: () => Snapshot;
  /** Ask for the status. Errors are in the snapshot. */
  readonly resume: () => Promise<Snapshot>;
  /** Begin a sign-in, if this browser has none that is not over. Errors are in the snapshot. */
  readonly start: () => Promise<Snapshot>;
  /** Send an event for the step of the snapshot. Errors are in the snapshot. */
  readonly send: (event: SignInEvent) => Promise<Snapshot>;
  /**
   * Send the event of an action, with the values that the user entered: `eventOf` and `send`. If it needs
   * a passkey, the browser asks for it. Errors are in the snapshot.
   */
  readonly submit: (
    action: { readonly event: EventType; readonly fields: readonly Field[] },
    values: Values,
  ) => Promise<Snapshot>;
  /** Return user and step; throws a `Problem`. */
  readonly status: () => Promise<Status>;
  /** Return the user or null; throws a `Problem`. */
  readonly session: () => Promise<User | null>;
  /** Sign out. Errors are in the snapshot. */
  readonly signOut: () => Promise<Snapshot>;
  readonly sessions: () => Promise<ListedSession[]>;
  readonly endSession: (name: string) => Promise<void>;
  /** End all sessions of the user, everywhere. Errors are in the snapshot. */
  readonly signOutEverywhere: () => Promise<Snapshot>;
}

/** What `createOncegate` can be given. */
export interface OncegateOptions extends ClientOptions {
  /** Where the sign-in is mounted. Default: `/auth`. */
  prefix?: string;
  /** Brings news from other tabs; false for none. Default: a BroadcastChannel. */
  channel?: Channel | false;
}

/** Return a sign-in to subscribe to. Touches no browser until it is used, so modules can make it. */
export function createOncegate(options?: OncegateOptions): Oncegate;

/** What the user entered: a FormData, or an object by the names of the action's fields. */
export type Values = FormData | Readonly<Record<string, string | boolean>>;

/**
 * Return the event of an action, with the values that the user entered. If there is a checkbox
 * `keep_signed_in` beside a username or a provider, or `remember_device` beside a code, the event has it.
 */
export function eventOf<Type extends EventType>(
  action: { readonly event: Type; readonly fields: readonly Field[] },
  values: Values,
): EventOf<Type>;
/** Return the event of an action of the account. */
export function eventOf<Type extends AccountEventType>(
  action: { readonly event: Type; readonly fields: readonly Field[] },
  values: Values,
): AccountEventOf<Type>;

/**
 * Ask the browser for a passkey (`passkey_options`), or for a new one (`passkey_creation`): the value of a
 * field of type `passkey`. Throws a `Problem` (`no_passkey`, `no_new_passkey`).
 */
export function passkey(options: string): Promise<string>;

// Only what says `export` is exported.
export {};
