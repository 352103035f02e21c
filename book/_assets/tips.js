// The definition of a word of the glossary, shown on hover, focus and touch. Without this script it is the link's title.
document.addEventListener("DOMContentLoaded", () => {
  const tip = Object.assign(document.createElement("div"), { id: "aifr-tip", hidden: true });
  tip.setAttribute("role", "tooltip");
  document.body.append(tip);
  let shown = null;

  const hide = () => {
    shown?.removeAttribute("aria-describedby");
    tip.hidden = true;
    shown = null;
  };
  const show = (word) => {
    hide();
    shown = word;
    tip.textContent = word.dataset.tip;
    tip.hidden = false;
    word.setAttribute("aria-describedby", tip.id);
    const at = word.getClientRects()[0];
    const left = Math.min(at.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
    const below = at.bottom + 6 + tip.offsetHeight < window.innerHeight;
    tip.style.left = `${Math.max(8, left) + window.scrollX}px`;
    tip.style.top = `${(below ? at.bottom + 6 : at.top - tip.offsetHeight - 6) + window.scrollY}px`;
  };

  for (const word of document.querySelectorAll("a.aifr-term[title]")) {
    word.dataset.tip = word.title;
    word.removeAttribute("title");
    word.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(word));
    word.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());
    word.addEventListener("focus", () => word.matches(":focus-visible") && show(word));
    word.addEventListener("blur", hide);
    word.addEventListener("click", (event) => {
      // A finger cannot hover: its first touch shows the tip, its second follows the link.
      if (matchMedia("(hover: none)").matches && shown !== word) {
        event.preventDefault();
        show(word);
      }
    });
  }
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
});
