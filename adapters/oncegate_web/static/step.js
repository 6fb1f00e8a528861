// What JavaScript adds to the pages after the first one. All of it works without, except passkeys.

const words = JSON.parse(document.body.dataset.words || "{}");
const said = document.getElementById("said");
const card = document.querySelector(".og-card");

const asTime = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

// Countdowns use the clock, not the number of ticks: a phone that slept shows the right time.
const countdown = (seconds, show) => {
  const ends = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.max(0, Math.ceil((ends - Date.now()) / 1000));
    show(left);
    if (!left) clearInterval(timer);
  };
  const timer = setInterval(tick, 500);
  tick();
};

// The text has the place of its longest form, so that nothing beside it moves.
for (const button of document.querySelectorAll("[data-opens-in]")) {
  const label = button.dataset.then;
  countdown(Number(button.dataset.opensIn), (left) => {
    button.ariaDisabled = left ? "true" : null;
    button.textContent = left ? words.new_code_in.replace("{time}", asTime(left)) : label;
  });
}

// When the challenge has expired, the server says what to do.
if (card.dataset.endsIn) {
  const shown = document.getElementById("ends");
  const texts = words.time_left || [];
  countdown(Number(card.dataset.endsIn), (left) => {
    const text = texts[left < 60 ? 0 : Math.ceil(left / 60)];
    if (shown && text && text !== shown.textContent) shown.textContent = text;
    if (left === 59 && text) said.textContent = text;
    if (!left) location.replace(location.href);
  });
}

// A code that was pasted or filled in as a whole is submitted, once a page. Typed digits never are (WCAG
// 2.2, 3.2.2), nor is anything after a wrong code: tries are counted.
const code = document.querySelector(".og-code");
const isAlone = code && code.form.querySelectorAll("input:not([type=hidden], [hidden])").length === 1;
if (isAlone && code.ariaInvalid !== "true") {
  let before = code.value;
  const submit = ({ inputType, data }) => {
    const isTyped = /^insert(Text|CompositionText)$|^delete|^history/.test(inputType) && (data || "").length < 4;
    const isWhole = !before && !isTyped && code.value && code.validity.valid;
    before = code.value;
    if (!isWhole) return;
    code.removeEventListener("input", submit);
    code.form.requestSubmit(code.form.querySelector("[type=submit]"));
  };
  code.addEventListener("input", submit);
}

for (const rules of document.querySelectorAll("[data-for]")) {
  const input = document.getElementById(rules.dataset.for);
  const check = () => {
    for (const rule of rules.children) {
      rule.classList.toggle("og-rule-met", new RegExp(rule.dataset.pattern, "u").test(input.value));
    }
  };
  input.addEventListener("input", check);
  check();
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    said.textContent = button.textContent = words.copied;
  });
}

const field = document.querySelector("[data-passkey]");
if (field) {
  const failed = document.getElementById("passkey-failed");
  field.form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (field.form.ariaBusy) return;
    field.form.ariaBusy = "true";
    try {
      if (!navigator.credentials?.get || !self.PublicKeyCredential) throw words.passkey_unsupported;
      const { passkey } = await import(field.dataset.module);
      field.value = await passkey(field.dataset.passkey);
      field.form.submit();
    } catch (error) {
      // The user declined, or has no passkey here.
      failed.textContent = typeof error === "string" ? error : words.passkey_cancelled;
      failed.hidden = false;
      field.form.ariaBusy = null;
      event.submitter?.focus();
    }
  });
}
