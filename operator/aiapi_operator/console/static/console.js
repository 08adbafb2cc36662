// Renews the parts of the page that are marked data-live. Without it the page renews as a whole.
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

  function say(text, isLost) {
    live.textContent = text;
    live.classList.toggle("lost", isLost);
  }

  // Which control in a part has the focus, so that it can be given back.
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

  async function renew() {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (answer.status >= 500) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const parts = [...document.querySelectorAll("[data-live]")];
      const fresh = parts.map((part) => page.getElementById(part.id));
      // Something else is on the page now: the first AIApi came, or this one was deleted.
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
      if (lost || !live.textContent) say("Live", false);
      lost = false;
    } catch {
      if (!lost) say("The operator does not answer; trying again", true);
      lost = true;
    }
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    say(paused ? "Paused" : "Live", false);
    if (!paused) renew();
  });
  document.addEventListener("visibilitychange", renew);
  localTimes(document);
  say("Live", false);
  setInterval(renew, EVERY);
})();
