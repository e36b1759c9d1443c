// A form that was sent is not sent twice; a message that was read can be put away; a typed word unlocks a danger.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "true";
  event.submitter?.setAttribute("aria-busy", "true");
});

// The browser's back button may bring the page back as it was when the form left.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
  }
});

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest("li")?.remove();
});

document.addEventListener("input", (event) => {
  const word = event.target.dataset?.confirmWord;
  if (!word) return;
  const button = event.target.form.querySelector("[data-confirm-button]");
  button.disabled = event.target.value.trim() !== word;
});
for (const input of document.querySelectorAll("[data-confirm-word]")) {
  input.form.querySelector("[data-confirm-button]").disabled = input.value.trim() !== input.dataset.confirmWord;
}
