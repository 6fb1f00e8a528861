// What JavaScript adds to the pages after the first one. All of it works without, except passkeys.

const words = JSON.parse(document.body.dataset.words || "{}");
const said = document.getElementById("said");
const card = document.querySelector(".og-card");

const asTime = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

// Countdowns use the clock, not the number of ticks: a phone that slept shows the right time.
const countdown = (seconds, show) => {
  const ends = Date.now() + seconds * 1000;
  if (Number.isNaN(ends)) return;
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
    const text = texts[Math.floor(left / 60)];
    if (shown && text && text !== shown.textContent) shown.textContent = text;
    if (left === 59 && text) said.textContent = text;
    if (!left) location.replace(location.href);
  });
}

// Back restores what was typed: a code that was wrong. Other digits would be typed after it.
addEventListener("pageshow", () => {
  if (performance.getEntriesByType("navigation")[0]?.type === "navigate") return;
  for (const input of document.querySelectorAll(".og-code")) input.value = "";
});

const { refresh, url } = card.dataset;
if (refresh) setTimeout(() => location.replace(url), refresh * 1000);

// A code that was pasted or filled in as a whole is submitted, once a page. Typed digits never are (WCAG
// 2.2, 3.2.2), nor is anything after a wrong code: tries are counted.
const code = document.querySelector(".og-code[data-untried]");
if (code && code.form.querySelectorAll("input:not([type=hidden], [hidden])").length === 1) {
  let before = code.value;
  const submit = ({ inputType, data }) => {
    const isTyped = /^insert(Text|CompositionText)$|^delete|^history/.test(inputType) && (data || "").length < 4;
    const isWhole = !before && !isTyped && code.value && code.validity.valid;
    before = code.value;
    if (!isWhole) return;
    code.removeEventListener("input", submit);
    code.form.requestSubmit(code.form.querySelector(".og-button-main"));
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
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      said.textContent = button.textContent = words.copied;
    } catch {} // The browser refused; the key can be selected.
  });
}

const field = document.querySelector("[data-passkey]");
if (field) {
  const { form, dataset } = field;
  const failed = document.getElementById("passkey-failed");
  let isAsking = false;
  form.addEventListener("submit", async (event) => {
    if (field.value) return; // The browser has answered.
    event.preventDefault();
    if (isAsking) return;
    isAsking = true;
    try {
      if (!navigator.credentials?.get || !self.PublicKeyCredential) throw words.passkey_unsupported;
      const { passkey } = await import(dataset.module);
      field.value = await passkey(dataset.passkey);
      form.requestSubmit(event.submitter);
    } catch (error) {
      // The user declined, or has no passkey here.
      failed.textContent = typeof error === "string" ? error : words.passkey_cancelled;
      failed.hidden = false;
      event.submitter?.focus();
    }
    isAsking = false;
  });
}
