/** Types of oncegate.js. The OpenAPI document, at `<prefix>/openapi.json`, describes the whole API. */

export interface Message { code: string; text: string; detail: string }
export interface Choice { value: string; label: string }
export interface Field {
  name: string;
  label: string;
  type: "text" | "password" | "email" | "tel" | "choice" | "passkey";
  autocomplete: string;
  inputmode: "text" | "numeric" | "email" | "tel";
  pattern: string | null;
  secret: boolean;
  required: boolean;
  value: string;
  choices: Choice[];
}
export interface Action {
  event: Event["type"];
  label: string;
  fields: Field[];
  is_main: boolean;
  available_at: string | null;
}
export type State =
  | "idle" | "checking_password" | "password_verified" | "choosing_first_factor"
  | "awaiting_password" | "requesting_challenge" | "awaiting_mfa" | "setting_up_totp"
  | "setting_up_email" | "awaiting_passkey" | "awaiting_answer" | "awaiting_confirmation"
  | "checking_answer" | "awaiting_new_password" | "awaiting_reset" | "setting_password"
  | "checking_device" | "registering_device" | "offering_device" | "remembering_device"
  | "authenticated" | "failed";
export interface Step {
  flow_id: string;
  version: number;
  state: State;
  title: string;
  actions: Action[];
  events: Event["type"][];
  fields: Field[];
  delivery: { medium: string; destination: string } | null;
  challenge: string | null;
  challenge_id: number | null;
  attempts_left: number | null;
  expires_at: string | null;
  new_code_at: string | null;
  new_codes_left: number | null;
  passkey_options: string | null;
  totp: { secret: string; uri: string } | null;
  parameters: Record<string, string> | null;
  message: Message | null;
  reason: Message | null;
  password_changed: boolean;
}
export type Event =
  | { type: "submit_password"; username?: string; password: string }
  | { type: "submit_username"; username: string; preferred?: string; access_token?: string }
  | { type: "choose_factor"; factor: string }
  | { type: "submit_email"; email: string }
  | { type: "submit_code"; code: string; remember_device?: boolean }
  | { type: "submit_passkey"; credential: string }
  | { type: "submit_answer"; answer: string }
  | { type: "submit_new_password"; new_password: string; attributes?: Record<string, string> }
  | { type: "reset_password"; code: string; new_password: string }
  | { type: "remember_device"; remember?: boolean }
  | { type: "request_new_code" }
  | { type: "cancel" };
export interface User { username: string; claims: Record<string, unknown> }
export interface ListedSession {
  name: string;
  is_current: boolean;
  begun_at: string;
  seen_at: string;
  address: string;
  browser: string;
  platform: string;
}

export class Problem extends Error {
  readonly status: number;
  readonly code: string;
}
export class SignIn {
  constructor(prefix?: string, options?: { fetch?: typeof fetch });
  readonly step: Step | null;
  start(): Promise<Step>;
  resume(): Promise<Step>;
  send(event: Event & { keep_signed_in?: boolean }): Promise<Step>;
  session(): Promise<User | null>;
  signOut(): Promise<void>;
  sessions(): Promise<ListedSession[]>;
  endSession(name: string): Promise<void>;
  signOutEverywhere(): Promise<void>;
}
export function passkey(options: string): Promise<string>;
