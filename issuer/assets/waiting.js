"use strict";
// Keeps the open list of waiting requests up to date. The issuer says that the list is another one;
// this fetches the page and puts its list in place of the old one. Without it, the page has a button.

(() => {
  const list = document.getElementById("list");
  if (!list || typeof EventSource !== "function") {
    return;
  }
  let fetching = false;
  let again = false;

  const refresh = async () => {
    if (fetching) {
      again = true;
      return;
    }
    fetching = true;
    try {
      const reply = await fetch(location.href, { credentials: "same-origin" });
      if (!reply.ok || reply.redirected) {
        location.reload();
        return;
      }
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      const fresh = page.getElementById("list");
      if (fresh && fresh.innerHTML !== list.innerHTML) {
        list.replaceChildren(...fresh.childNodes);
      }
    } finally {
      fetching = false;
      if (again) {
        again = false;
        refresh();
      }
    }
  };

  const source = new EventSource(list.dataset.events);
  source.addEventListener("waiting", refresh);
  addEventListener("pagehide", () => source.close());
})();
