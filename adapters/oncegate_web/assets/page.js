// Everything here works without JavaScript.

const { appId = "" } = document.body.dataset;
const said = document.getElementById("said");

// A reload does not show the notice again. Other bytes stay: another address would be another page.
const search = location.search.replace(/([?&])notice=[^&]*(&?)/, (_, before, after) => (after ? before : ""));
if (search !== location.search) history.replaceState(null, "", location.pathname + search);

// Threat protection: AWS's script, if the application serves it, describes this browser.
const collect = (form) => {
  try {
    const { value } = form.querySelector("[autocomplete^=username]");
    const data = AmazonCognitoAdvancedSecurityData.getData(value, ...appId.split("/"));
    form.elements._encoded_data.value = data || "";
  } catch {} // No such field, or no such script.
};

if (!self.PublicKeyCredential) for (const button of document.querySelectorAll("[data-passkeys]")) button.hidden = true;

// A page that was kept for Back is outdated: a right password in its form would come too late. No reload,
// because that restores what was typed.
addEventListener("pageshow", ({ persisted }) => persisted && location.replace(location.href));

// A button that was pressed says so, unless the server takes too long.
const BUSY_MS = 15000;
const release = (button) => {
  if (!button.dataset.label) return;
  button.textContent = button.dataset.label;
  button.ariaDisabled = null;
};
addEventListener("pageshow", () => document.querySelectorAll("[data-busy]").forEach(release));
addEventListener("submit", (event) => {
  const { target: form, submitter: button } = event;
  if (!button) return;
  if (button.ariaDisabled === "true") return event.preventDefault();
  collect(form);
  // The buttons of providers are in forms of their own.
  const keep = document.getElementById("field-keep-signed-in");
  if (keep?.checked && keep.form !== form) form.append(Object.assign(keep.cloneNode(), { hidden: true }));
  for (const shown of form.querySelectorAll("[data-shown]")) shown.click();
  if (event.defaultPrevented || !button.dataset.busy) return;
  button.dataset.label = button.textContent;
  button.ariaDisabled = "true";
  said.textContent = button.textContent = button.dataset.busy;
  setTimeout(release, BUSY_MS, button);
});

for (const button of document.querySelectorAll(".og-show")) {
  const input = document.getElementById(button.getAttribute("aria-controls"));
  const caps = input.closest(".og-field").querySelector("[data-caps]");
  button.addEventListener("click", () => {
    const shows = input.type === "password";
    input.type = shows ? "text" : "password";
    button.toggleAttribute("data-shown", shows);
    const { other, otherTitle } = button.dataset;
    Object.assign(button.dataset, { other: button.textContent, otherTitle: button.title });
    [button.textContent, button.title] = [other, otherTitle];
  });
  input.addEventListener("keyup", (event) => {
    caps.textContent = event.getModifierState?.("CapsLock") ? caps.dataset.caps : "";
  });
}
