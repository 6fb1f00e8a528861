// A program that uses the types as pages do. Each @ts-expect-error is a mistake that has to be found.

import {
  Account, Problem, SignIn, createOncegate, eventOf, passkey,
  type AccountEvent, type AccountOverview, type AccountStep, type Action, type Choice, type ClientOptions, type EventContext, type EventOf, type Factor, type Field, type ListedSession, type Medium,
  type Message, type MessageCode, type News, type Oncegate, type OncegateOptions, type OwnTexts, type ProblemCode, type SignInEvent,
  type Snapshot, type State, type Status, type Step, type StepOf, type User,
} from "oncegate";

const signIn = new SignIn("/auth", { fetch: (...request) => fetch(...request) });

export async function page(): Promise<string> {
  let step: Step = await signIn.resume();
  switch (step.state) {
    case "idle":
      step = await signIn.send({ type: "submit_password", username: "ana", password: "p", keep_signed_in: true });
      break;
    case "awaiting_mfa": {
      const factor: "SMS_MFA" | "EMAIL_OTP" | "SOFTWARE_TOKEN_MFA" | "SMS_OTP" = step.challenge;
      const medium: Medium | undefined = step.delivery?.medium;
      const [main] = step.actions;
      if (main?.event === "submit_code") return `${factor} ${medium} ${main.fields[0]?.name satisfies "code" | undefined}`;
      // @ts-expect-error: no such action at this step
      if (main?.event === "submit_password") return "";
      break;
    }
    case "setting_up_totp":
      return step.totp.uri; // not null here
    case "awaiting_passkey":
      await signIn.send({ type: "submit_passkey", credential: await passkey(step.passkey_options) });
      break;
    case "awaiting_answer":
      return step.parameters["question"] ?? "";
    case "failed":
      // @ts-expect-error: nothing can be done any more
      return step.actions[0]?.event.length;
    case "checking_password":
      return step.title;
    default:
      // @ts-expect-error: null in some states
      return step.totp.uri;
  }
  // @ts-expect-error: a state that does not exist
  if (step.state === "signed_in") return "";
  return step.title;
}

export async function mistakes(): Promise<void> {
  // @ts-expect-error: a field of another event
  await signIn.send({ type: "submit_code", password: "p" });
  // @ts-expect-error: a required field is missing
  await signIn.send({ type: "submit_code" });
  // @ts-expect-error: a factor that does not exist
  await signIn.send({ type: "choose_factor", factor: "SMS" });
  // @ts-expect-error: an event that does not exist
  await signIn.send({ type: "submit" });
  // @ts-expect-error: set by the module alone
  signIn.step = null;
}

export async function context(captcha: string): Promise<void> {
  const own: EventContext = { client_metadata: { captcha }, encoded_data: "eyJ" };
  await signIn.send({ type: "submit_code", code: "123456", context: own });
  createOncegate({ context: async (event) => (event.type === "cancel" ? undefined : own) });
  // @ts-expect-error: not text
  createOncegate({ context: () => ({ client_metadata: { captcha: 7 } }) });
  // @ts-expect-error: the name of a member that does not exist
  await signIn.send({ type: "cancel", context: { clientMetadata: {} } });
}

export async function errors(): Promise<string> {
  try {
    const user: User | null = await signIn.session();
    const { step }: Status = await signIn.status();
    const listed: ListedSession[] = await signIn.sessions();
    return `${user?.username} ${String(user?.claims["email"])} ${step.version} ${listed[0]?.browser}`;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const code: ProblemCode = error.code;
    // @ts-expect-error: a code that does not exist
    if (error.code === "no_such_code") return "";
    return `${code} ${error.status} ${error.message} ${error.fields["email"]} ${error.retryAfter ?? 0}`;
  }
}

export function store(): () => void {
  const auth: Oncegate = createOncegate({ prefix: "/auth", channel: new BroadcastChannel("mine") });
  const { getSnapshot, send, start } = auth;
  const show = ({ type, from }: News): void => {
    const snapshot: Snapshot = getSnapshot();
    if (snapshot.status === "authenticated") console.log(type, from, snapshot.user.username);
    // @ts-expect-error: null if no user is signed in
    else console.log(snapshot.user.username);
    // @ts-expect-error: frozen
    snapshot.isPending = false;
  };
  void start().then(({ error }) => error?.code);
  void send({ type: "cancel" });
  return auth.subscribe(show);
}

export function codesCanBeRequested(step: Step): boolean {
  return step.events.includes("request_new_code"); // Whatever the state.
}

export function factors(step: StepOf<"password_verified">): SignInEvent[] {
  const [main] = step.actions;
  if (main?.event !== "choose_factor") return [];
  return main.fields.flatMap(({ choices }) =>
    choices.map(({ value }) => ({ type: "choose_factor" as const, factor: value })));
}

export async function passkeyOrForm(auth: Oncegate, step: Step, data: FormData): Promise<ProblemCode | undefined> {
  for (const action of step.actions) await auth.submit(action, data);
  const [main] = step.actions;
  const { error } = main ? await auth.submit(main, { username: "ana", keep_signed_in: true }) : auth.getSnapshot();
  return error?.code;
}

const german: Partial<OwnTexts> = { no_answer: "Die Verbindung ist abgebrochen." };
const options: OncegateOptions = { prefix: "/auth", language: "de", texts: german };
export const inGerman = [createOncegate(options), new SignIn("/auth", { language: "de" } satisfies ClientOptions)];
// @ts-expect-error: a code that the module does not have
export const wrongText: OncegateOptions = { texts: { no_such_code: "" } };

export function form(step: StepOf<"awaiting_mfa">, data: FormData): SignInEvent[] {
  const events: SignInEvent[] = [];
  for (const action of step.actions) {
    events.push(eventOf(action, data));
    for (const field of action.fields satisfies readonly Field[]) {
      const choices: readonly Choice[] = field.choices;
      console.log(field.label, field.pattern, choices.length);
    }
  }
  const code: EventOf<"submit_code"> = { type: "submit_code", code: "123456", remember_device: true };
  const cancel: Action<"cancel"> | undefined = step.actions.find((action) => action.event === "cancel");
  const state: State = step.state;
  const factor: Factor = step.challenge;
  const message: Message | null = step.reason;
  const messageCode: MessageCode | undefined = message?.code;
  console.log(cancel?.label, state, factor, messageCode);
  return [...events, code];
}

export const newEvent: Event = new Event("click"); // The DOM's own name is free.

export async function provider(): Promise<void> {
  let step: Step = await signIn.send({ type: "sign_in_with", provider: "Google" });
  if (step.state === "awaiting_provider") location.assign(step.authorize_url);
  const { state = "", code, error } = Object.fromEntries(new URLSearchParams(location.search));
  step = await signIn.send({ type: "submit_authorization", state, ...(error ? { error } : code ? { code } : {}) });
  await signIn.send({ type: "forgot_password", username: "ana", keep_signed_in: true });
  await signIn.send({ type: "sign_up", username: "ana", attributes: { email: "ana@example.com" } });
  const url: string | null = await signIn.signOut();
  if (url) location.assign(url);
  const { logoutUrl } = await createOncegate().signOut();
  if (logoutUrl) location.assign(logoutUrl);
  // @ts-expect-error: the name is required
  await signIn.send({ type: "sign_up", password: "x" });
}

const own = new Account("/auth", { fetch: (...request) => fetch(...request) });

export async function account(data: FormData): Promise<string> {
  const { account: has, step: first } = await own.status();
  const overview: AccountOverview = has;
  if (first.state !== "managing") return overview.preferred ?? "";
  let step: AccountStep = await own.send({ type: "add_authenticator", name: "Phone" });
  if (step.reason?.code === "sign_in_again") location.assign(own.signInAgainUrl());
  switch (step.state) {
    case "confirming_authenticator":
      return step.totp.uri; // not null here
    case "registering_passkey": {
      const event: AccountEvent = { type: "submit_passkey", credential: await passkey(step.passkey_creation) };
      step = await own.send(event);
      break;
    }
    case "confirming_address":
      for (const action of step.actions) await own.submit(action, data);
      // @ts-expect-error: no such action at this step
      if (step.actions[0]?.event === "delete_account") return "";
      break;
    case "closed":
      // @ts-expect-error: nothing can be done any more
      return step.actions[0]?.event.length;
    default:
      // @ts-expect-error: null in some states
      return step.passkey_creation.length;
  }
  for (const action of first.actions) await own.send(eventOf(action, data));
  return has.passkeys.map(({ key }) => key).join();
}

export async function mistakesWithTheAccount(): Promise<void> {
  // @ts-expect-error: an event of the sign-in
  await own.send({ type: "forgot_password" });
  // @ts-expect-error: a factor that is no second one
  await own.send({ type: "use_factor", factor: "PASSWORD" });
  // @ts-expect-error: the new password is missing
  await own.send({ type: "change_password", password: "p" });
  // @ts-expect-error: the module adds the version
  await own.send({ type: "add_passkey", version: 3 });
  // @ts-expect-error: set by the module alone
  own.step = null;
}
