// Refreshes the sections of the page. Without it the page is whole, and shows what
// was when it was loaded.
"use strict";
(() => {
  const live = document.getElementById("live");
  const hold = document.getElementById("hold");
  const waiting = new Map();
  let source = null;
  let held = false;

  const keyOf = (element) => {
    const kept = element.closest("[data-keep]");
    return kept && { keep: kept.dataset.keep, tag: element.tagName };
  };

  const withKey = (box, key) => {
    for (const kept of box.querySelectorAll("[data-keep]")) {
      if (kept.dataset.keep === key.keep) {
        return kept.tagName === key.tag ? kept : kept.querySelector(key.tag);
      }
    }
    return null;
  };

  // Somebody copies from there.
  const isSelected = (box) => {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed && box.contains(selection.anchorNode);
  };

  // What is open stays open, and the focus stays where it is.
  const show = (id, html) => {
    const box = document.querySelector(`[data-section="${id}"]`);
    if (isSelected(box)) {
      waiting.set(id, html);
      return;
    }
    waiting.delete(id);
    const open = new Set();
    for (const details of box.querySelectorAll("details[open][data-keep]")) {
      open.add(details.dataset.keep);
    }
    const active = document.activeElement;
    const focused = active && box.contains(active) ? keyOf(active) : null;
    box.innerHTML = html;
    for (const details of box.querySelectorAll("details[data-keep]")) {
      details.open = open.has(details.dataset.keep);
    }
    if (focused) {
      withKey(box, focused)?.focus({ preventScroll: true });
    }
  };

  const leave = () => {
    source?.close();
    source = null;
  };

  const follow = () => {
    leave();
    source = new EventSource("/events" + location.search);
    source.onopen = () => {
      live.textContent = "Refreshed every 5 seconds.";
    };
    source.onerror = () => {
      live.textContent =
        source?.readyState === EventSource.CLOSED
          ? "Not refreshed: load the page again."
          : "The connection is lost: trying again.";
    };
    for (const { dataset } of document.querySelectorAll("[data-section]")) {
      const id = dataset.section;
      source.addEventListener(id, (event) => show(id, JSON.parse(event.data)));
    }
  };

  hold.hidden = false;
  hold.addEventListener("click", () => {
    held = !held;
    hold.textContent = held ? "Refresh again" : "Stop refreshing";
    if (held) {
      leave();
      live.textContent = "Not refreshed.";
    } else {
      follow();
    }
  });

  document.addEventListener("selectionchange", () => {
    for (const [id, html] of [...waiting]) {
      show(id, html);
    }
  });

  // Nobody looks at a page that is hidden.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      leave();
    } else if (!held) {
      follow();
    }
  });

  if (!document.hidden) {
    follow();
  }
})();
