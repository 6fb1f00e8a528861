// A sign-in in React, in strict mode. What is clicked twice sends one code: a button is disabled only while
// the server would refuse it.

import { type FormEvent, StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";

import type { Action, Field, Step } from "oncegate";

import { auth, useAuth } from "./auth";
import { useCountdown } from "./countdown";

function Input({ field, error }: { field: Field; error: string | undefined }) {
  const { name, label } = field;
  if (field.type === "passkey") return null;
  if (field.type === "choice") {
    return <fieldset><legend>{label}</legend>{field.choices.map((choice) =>
      <label key={choice.value}>
        <input type="radio" name={name} value={choice.value} required /> {choice.label}
      </label>)}
    </fieldset>;
  }
  return <label>{label} <input name={name} type={field.type} required={field.required}
    autoComplete={field.autocomplete} inputMode={field.inputmode} defaultValue={field.value} />{error}
  </label>;
}

function Form({ action }: { action: Action }) {
  const { error } = useAuth();
  const wait = useCountdown(action.available_in);
  const submit = async (submitted: FormEvent<HTMLFormElement>) => {
    submitted.preventDefault();
    await auth.submit(action, new FormData(submitted.currentTarget));
  };
  return <form onSubmit={submit}>
    {action.fields.map((field) =>
      <Input key={field.name} field={field} error={error?.fields[field.name]} />)}
    {action.event === "submit_password" && action.fields.some(({ name }) => name === "username")
      && <label><input type="checkbox" name="keep_signed_in" /> Keep me signed in</label>}
    <button disabled={wait > 0}>{action.label}</button>{wait > 0 && <small>in {wait} s</small>}
  </form>;
}

function SignIn({ step }: { step: Step }) {
  return <>
    <h1>{step.title}</h1>
    <p role="status">{step.reason?.text ?? step.message?.text}</p>
    {step.totp && <code>{step.totp.secret}</code>}
    {step.actions.map((action) => {
      const [key, form] = [`${step.state} ${action.event}`, <Form action={action} />];
      if (action.is_main || !action.summary) return <div key={key}>{form}</div>;
      return <details key={key}><summary>{action.summary}</summary>{form}</details>;
    })}
    {step.state === "failed" && <button onClick={auth.start}>Start again</button>}
  </>;
}

function App() {
  const { status, step, user, error, isPending } = useAuth();
  useEffect(() => {
    document.body.append(new Comment("mounted")); // Twice in strict mode.
    void auth.resume();
  }, []);
  return <main data-state={step?.state} data-status={status} aria-busy={isPending}>
    {error && <p role="alert">{error.message}</p>}
    {status === "authenticated"
      ? <p>Orders of {user.username} <button onClick={auth.signOut}>Sign out</button></p>
      : step && <SignIn step={step} />}
  </main>;
}

createRoot(document.body.appendChild(document.createElement("div"))).render(<StrictMode><App /></StrictMode>);
