// A sign-in in React, in strict mode. Buttons are never disabled: whatever is clicked, one code is sent.

import { type FormEvent, StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { type Action, type Field, type Step, eventOf, passkey } from "oncegate";

import { auth, useAuth } from "./auth";

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

function Form({ step, action }: { step: Step; action: Action }) {
  const { error } = useAuth();
  const submit = async (submitted: FormEvent<HTMLFormElement>) => {
    submitted.preventDefault();
    const values = new FormData(submitted.currentTarget);
    if (action.event === "submit_passkey") {
      values.set("credential", await passkey(step.passkey_options ?? ""));
    }
    await auth.send(eventOf(action, values));
  };
  return <form onSubmit={submit}>
    {action.fields.map((field) =>
      <Input key={field.name} field={field} error={error?.fields[field.name]} />)}
    <button>{action.label}</button>
  </form>;
}

function SignIn({ step }: { step: Step }) {
  return <>
    <h1>{step.title}</h1>
    <p role="status">{step.reason?.text ?? step.message?.text}</p>
    {step.totp && <code>{step.totp.secret}</code>}
    {step.actions.map((action) =>
      <Form key={`${step.state} ${action.event}`} step={step} action={action} />)}
    {step.state === "failed" && <button onClick={auth.start}>Start again</button>}
  </>;
}

function App() {
  const { status, step, user, error, isPending } = useAuth();
  return <main data-state={step?.state} data-status={status} aria-busy={isPending}>
    {error && <p role="alert">{error.message}</p>}
    {status === "authenticated"
      ? <p>Orders of {user.username} <button onClick={auth.signOut}>Sign out</button></p>
      : step && <SignIn step={step} />}
  </main>;
}

createRoot(document.body.appendChild(document.createElement("div"))).render(<StrictMode><App /></StrictMode>);
