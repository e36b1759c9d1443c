// Buttons with data-copy="<id>" copy that element's text and say so, also to a screen reader.

async function put(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // An installation reached over plain HTTP has no clipboard interface; a selection still copies.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser refused to copy.");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const label = button.querySelector("[data-copy-label]") || button;
  button.dataset.before ||= label.textContent;
  try {
    await put((source.value ?? source.textContent).trim());
    label.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    label.textContent = "Press Ctrl+C";
  }
  button.focus();
  clearTimeout(button.timer);
  button.timer = setTimeout(() => { label.textContent = button.dataset.before; }, 2000);
});
