// Opens native dialogs: a button names one with data-dialog-open, one marked data-dialog-now opens with the page.

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog-open]");
  if (opener) document.getElementById(opener.dataset.dialogOpen)?.showModal();

  if (event.target.closest("[data-dialog-close]")) event.target.closest("dialog")?.close();

  // A click on the backdrop is a click on the dialog itself. A secret that is shown once must not vanish that way.
  const dialog = event.target;
  if (dialog instanceof HTMLDialogElement && !("dialogStay" in dialog.dataset)) {
    const box = dialog.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right
      && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside && event.clientX + event.clientY > 0) dialog.close();
  }
});

function openMarked(scope) {
  for (const dialog of scope.querySelectorAll("dialog[data-dialog-now]:not([open])")) dialog.showModal();
}

openMarked(document);
document.addEventListener("htmx:load", (event) => openMarked(event.target));
