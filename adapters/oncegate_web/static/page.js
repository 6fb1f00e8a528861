// What JavaScript adds to the pages. Everything except passkeys works without it.

import { passkey } from "./passkey.js";

const words = JSON.parse(document.body.dataset.words || "{}");

const asTime = (seconds) =>
  `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

// Countdowns use the clock, not the number of ticks: a phone that slept shows the right time.
for (const element of document.querySelectorAll("[data-countdown]")) {
  const ends = Date.now() + Number(element.dataset.countdown) * 1000;
  const button = element.parentElement.querySelector("[data-opens-in]");
  if (button) button.setAttribute("aria-disabled", "true");
  const tick = () => {
    const left = Math.max(0, Math.ceil((ends - Date.now()) / 1000));
    element.textContent = words[element.dataset.words].replace("{time}", asTime(left));
    if (left > 0) return;
    clearInterval(timer);
    if (button) button.removeAttribute("aria-disabled");
    if (element.dataset.reload) location.replace(location.href);
    else element.remove();
  };
  const timer = setInterval(tick, 500);
}

// For threat protection: AWS's script, if the application serves it, describes this browser. A sign-in
// goes on without it.
const collect = ({ _encoded_data: hidden, username }) => {
  const [pool, client] = (document.body.dataset.appId || "").split("/");
  try {
    hidden.value = AmazonCognitoAdvancedSecurityData.getData(username.value, pool, client) || "";
  } catch {} // No such field, or no such script.
};

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    if (form.querySelector('[aria-disabled="true"]')) event.preventDefault();
    collect(form.elements);
  });
}

const field = document.querySelector("[data-passkey]");
if (field) {
  field.form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      field.value = await passkey(field.dataset.passkey);
      field.form.submit();
    } catch {
      field.form.querySelector("button").focus(); // The user declined, or has no passkey here.
    }
  });
}
