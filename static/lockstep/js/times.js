// Keeps "3 min ago" true while a page stays open, and adds the visitor's own time to the exact one.

const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const MONTH = 31 * 86400;

function relative(seconds) {
  const size = Math.abs(seconds);
  if (size < 10) return seconds >= 0 ? "just now" : "now";
  const text = size < 60 ? `${size} s`
    : size < 3600 ? `${Math.floor(size / 60)} min`
    : size < 86400 ? `${Math.floor(size / 3600)} h`
    : `${Math.floor(size / 86400)} d`;
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

function refresh() {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const moment = new Date(time.dateTime);
    const seconds = Math.trunc((Date.now() - moment) / 1000);
    if (Math.abs(seconds) < MONTH) time.textContent = relative(seconds);
    if (!time.dataset.local) {
      time.dataset.local = "true";
      time.title += `\n${local.format(moment)} where you are`;
    }
  }
}

refresh();
setInterval(refresh, 30000);
document.addEventListener("htmx:load", refresh);
