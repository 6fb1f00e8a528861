// The types of oncegate.d.ts and those made of the OpenAPI document say the same.

import type {
  AccountAction, AccountEvent, AccountEventOf, AccountEventType, AccountOverview, AccountState, AccountStatus, AccountStep, Action, Choice, EventContext, EventOf, EventType, Field, ListedSession, Medium, Message, OwnTexts, PasswordRule, Problem,
  ProblemCode, SignInEvent, Status, Step, User,
} from "oncegate";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];

/** Whether two types are the same, not only assignable. */
export type Same<One, Other> =
  (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;
export const check = <_Holds extends true>(): void => {};

/** A type with its members, nullability and kinds, but with any text where it has certain ones. */
export type Loose<T> =
  T extends string ? string
  : T extends number | boolean | null | undefined ? T
  : T extends readonly (infer Item)[] ? Loose<Item>[]
  : unknown extends T ? unknown
  : T extends object ? { -readonly [Name in keyof T]: Loose<T[Name]> }
  : T;
type Agree<Ours, Document> =
  [Loose<Ours>] extends [Loose<Document>] ? ([Loose<Document>] extends [Loose<Ours>] ? true : false) : false;

type AnyOf<Union> = { [Name in Union extends unknown ? keyof Union : never]: Union extends Record<Name, infer Value> ? Value : never };

// What the server sends.
check<Agree<AnyOf<Step>, Schemas["Step"]>>();
check<Agree<AnyOf<Action>, Schemas["Action"]>>();
check<Agree<Field, Schemas["Field"]>>();
check<Agree<Choice, Schemas["Choice"]>>();
check<Agree<Message, Schemas["Message"]>>();
check<Agree<User, Schemas["User"]>>();
check<Agree<ListedSession, Schemas["ListedSession"]>>();
check<Same<Step["state"], Schemas["FlowState"]>>();
check<Same<Field["type"], Schemas["Field"]["type"]>>();
check<Same<Field["inputmode"], Schemas["Field"]["inputmode"]>>();
check<Same<keyof Step, keyof Schemas["Step"]>>();
check<Same<keyof Action, keyof Schemas["Action"]>>();
check<Same<keyof Status, keyof Schemas["Status"]>>();
check<Agree<AnyOf<Status["step"]>, Schemas["Status"]["step"]>>();
check<Agree<Status["user"], Schemas["Status"]["user"]>>();
check<Same<Message["code"], Schemas["Message"]["code"]>>();
check<Same<Message["kind"], Schemas["Message"]["kind"]>>();
check<Agree<PasswordRule, Schemas["PasswordRule"]>>();
check<Same<Medium, Schemas["Delivery"]["medium"]>>();
check<Same<ProblemCode, Schemas["Problem"]["code"] | keyof OwnTexts | "unknown">>();
type SentProblem = Omit<Schemas["Problem"], "type" | "title">; // Their texts are in detail and message.
check<Agree<Pick<Problem, "status" | "code" | "detail" | "message" | "fields">, Required<SentProblem>>>();
type List = paths["/sessions"]["get"]["responses"]["200"]["content"]["application/json"];
check<Same<List, { sessions: Schemas["ListedSession"][] }>>();
declare const received: Step;
export const step: Loose<Schemas["Step"]> = received as Loose<Step>;

// What the server receives: with the version, which the module adds.
type Sent = Schemas["Event"];
type SentAs<Type extends EventType> = Extract<Sent, { type: Type }>;
type WithVersion<Event> = Event extends unknown ? Event & { version: number } : never;
declare const ours: WithVersion<SignInEvent>;
export const sent: Sent = ours;
check<Same<Sent["type"], EventType>>();
check<Same<SignInEvent["type"], EventType>>();
type RequiredIn<T> = { [Name in keyof T]-?: object extends Pick<T, Name> ? never : Name }[keyof T];
type SameMembers = {
  [Type in EventType]:
    Same<keyof WithVersion<EventOf<Type>>, keyof SentAs<Type>> extends true
      ? Same<RequiredIn<WithVersion<EventOf<Type>>>, RequiredIn<SentAs<Type>>> : false;
};
check<Agree<EventContext, Schemas["EventContext"]>>();
check<Same<SameMembers, { [Type in EventType]: true }>>();

// The account.
check<Agree<AccountStatus["account"], Schemas["AccountOverview"]>>();
check<Same<AccountOverview["verified"][number], Schemas["AccountOverview"]["verified"][number]>>();
check<Same<AccountOverview["preferred"], Schemas["AccountOverview"]["preferred"]>>();
check<Same<AccountState, Schemas["AccountState"]>>();
check<Agree<AnyOf<AccountStep>, Schemas["AccountStep"]>>();
check<Same<keyof AccountStatus, keyof Schemas["Account"]>>();
check<Same<AccountAction["event"], Schemas["AccountEvent"]["type"]>>();
declare const change: WithVersion<AccountEvent>;
export const changed: Schemas["AccountEvent"] = change;
type ChangeAs<Type extends AccountEventType> = Extract<Schemas["AccountEvent"], { type: Type }>;
type SameMembersOfChanges = {
  [Type in AccountEventType]:
    Same<keyof WithVersion<AccountEventOf<Type>>, keyof ChangeAs<Type>> extends true
      ? Same<RequiredIn<WithVersion<AccountEventOf<Type>>>, RequiredIn<ChangeAs<Type>>> : false;
};
check<Same<SameMembersOfChanges, { [Type in AccountEventType]: true }>>();
