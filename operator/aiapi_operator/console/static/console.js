// Refreshes the elements marked data-live. Without JavaScript the whole page reloads instead.
"use strict";

(() => {
  const EVERY = 3000;
  const live = document.getElementById("live");
  const pause = document.getElementById("pause");
  let paused = false;
  let lost = false;

  function localTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const moment = new Date(time.dateTime);
      if (!Number.isNaN(moment.getTime())) {
        time.textContent = moment.toLocaleTimeString([], { hour12: false });
        time.title = time.dateTime;
      }
    }
  }

  function showState(text, isLost) {
    live.textContent = text;
    live.classList.toggle("lost", isLost);
  }

  // The index of the focused control in an element, to restore the focus after a refresh.
  function focusedIn(part) {
    const active = document.activeElement;
    if (!active || !part.contains(active)) return null;
    const all = [...part.querySelectorAll("a, summary, [tabindex]")];
    return all.indexOf(active);
  }

  function replace(part, fresh) {
    const focused = focusedIn(part);
    const open = [...part.querySelectorAll("details[open]")].map((each) => each.id);
    part.className = fresh.className;
    part.replaceChildren(...fresh.childNodes);
    for (const id of open) {
      const again = id && document.getElementById(id);
      if (again) again.open = true;
    }
    if (focused !== null && focused >= 0) {
      const again = part.querySelectorAll("a, summary, [tabindex]")[focused];
      if (again) again.focus({ preventScroll: true });
    }
    localTimes(part);
  }

  const seen = new Map();

  async function refresh() {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (answer.status >= 500) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const parts = [...document.querySelectorAll("[data-live]")];
      const fresh = parts.map((part) => page.getElementById(part.id));
      // The page has other elements now: the first AIApi was created, or this one was deleted.
      if (fresh.includes(null) || fresh.some((each, at) => each.tagName !== parts[at].tagName)) {
        location.reload();
        return;
      }
      parts.forEach((part, at) => {
        const text = fresh[at].outerHTML;
        if (seen.get(part.id) !== text) {
          seen.set(part.id, text);
          replace(part, fresh[at]);
        }
      });
      if (lost || !live.textContent) showState("Live", false);
      lost = false;
    } catch {
      if (!lost) showState("The operator does not answer. Retrying.", true);
      lost = true;
    }
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    showState(paused ? "Paused" : "Live", false);
    if (!paused) refresh();
  });
  document.addEventListener("visibilitychange", refresh);
  localTimes(document);
  showState("Live", false);
  setInterval(refresh, EVERY);
})();
