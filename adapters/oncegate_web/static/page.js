// What JavaScript adds to every page. All of it works without.

const { appId = "" } = document.body.dataset;
const said = document.getElementById("said");

// The notice was shown: a reload does not show it again.
const url = new URL(location.href);
url.searchParams.delete("notice");
history.replaceState(null, "", url);

// For threat protection: AWS's script, if the application serves it, describes this browser. A sign-in
// goes on without it.
const collect = ({ _encoded_data: hidden, username }) => {
  try {
    hidden.value = AmazonCognitoAdvancedSecurityData.getData(username.value, ...appId.split("/")) || "";
  } catch {} // No such field, or no such script.
};

// A button that was pressed says so, until the page is shown again or the server takes too long.
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
  collect(form.elements);
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
