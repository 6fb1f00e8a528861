// A sign-in in Vue. Buttons are never disabled: whatever is clicked, one code is sent.

import { createApp, h, type VNode } from "vue";

import type { Action, Field, Step } from "oncegate";

import { auth, useAuth } from "./auth";

const input = (field: Field, error: string | undefined): VNode | null => {
  const { name, label, type, required } = field;
  if (type === "passkey") return null;
  if (type === "choice") {
    return h("fieldset", [h("legend", label), field.choices.map((choice) =>
      h("label", [h("input", { type: "radio", name, value: choice.value, required: true }), choice.label]))]);
  }
  // As an attribute, the value is the initial one, and what the user typed stays.
  return h("label", [label, h("input", {
    name, type, required, autocomplete: field.autocomplete, inputmode: field.inputmode, "^value": field.value,
  }), error]);
};

const form = (step: Step, action: Action, errors: Readonly<Record<string, string>>): VNode => {
  const onSubmit = async (submitted: Event) => {
    submitted.preventDefault();
    await auth.submit(action, new FormData(submitted.currentTarget as HTMLFormElement));
  };
  const key = `${step.state} ${action.event}`;
  const drawn = h("form", { key, onSubmit }, [
    ...action.fields.map((field) => input(field, errors[field.name])),
    h("button", action.label),
  ]);
  if (action.is_main || !action.summary) return drawn;
  return h("details", { key }, [h("summary", action.summary), drawn]);
};

createApp({
  setup() {
    const auth_ = useAuth();
    return () => {
      const { status, step, user, error, isPending } = auth_.value;
      return h("main", { "data-state": step?.state, "data-status": status, "aria-busy": isPending }, [
        error && h("p", { role: "alert" }, error.message),
        status === "authenticated"
          ? h("p", [`Orders of ${user.username} `, h("button", { onClick: () => auth.signOut() }, "Sign out")])
          : step && [
              h("h1", step.title),
              h("p", { role: "status" }, step.reason?.text ?? step.message?.text),
              step.totp && h("code", step.totp.secret),
              step.actions.map((action) => form(step, action, error?.fields ?? {})),
              step.state === "failed" && h("button", { onClick: () => auth.start() }, "Start again"),
            ],
      ]);
    };
  },
}).mount("#app");
