// What must hold of every page, by what the browser has computed. Each part returns what is wrong.
window.checklist = (() => {
  const all = (selector) => [...document.querySelectorAll(selector)].filter(isShown);
  const isShown = (element) =>
    element.checkVisibility({ visibilityProperty: true }) && !element.closest(".og-sr");
  const style = (element, pseudo) => getComputedStyle(element, pseudo);
  const named = (element) =>
    `${element.localName}${element.id && `#${element.id}`}.${element.className} "${(element.innerText || "").trim().slice(0, 30)}"`;
  const wrong = (elements, isRight, why) =>
    elements.filter((one) => !isRight(one)).map((one) => `${named(one)} ${why(one)}`);

  // ── colours (WCAG 2.2, relative luminance and contrast ratio) ──

  const colour = (text) => {
    const [kind, ...numbers] = text.match(/^[a-z]+|[\d.]+(?:e-?\d+)?/g);
    const [red, green, blue, alpha = 1] = numbers.map(Number);
    if (kind === "color") return [red * 255, green * 255, blue * 255, alpha];
    if (kind !== "rgb" && kind !== "rgba") throw new Error(`no colour: ${text}`);
    return [red, green, blue, alpha];
  };
  const over = ([r, g, b, alpha], below) =>
    [r, g, b].map((part, at) => part * alpha + below[at] * (1 - alpha)).concat(1);
  const ground = (element) => {
    const own = colour(style(element).backgroundColor);
    if (own[3] === 1) return own;
    return over(own, element.parentElement ? ground(element.parentElement) : [255, 255, 255, 1]);
  };
  const luminance = (parts) => {
    const [r, g, b] = parts.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (front, back) => {
    const [light, dark] = [luminance(over(front, back)), luminance(back)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const token = (name) => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(${name})`;
    const found = style(probe).color;
    probe.remove();
    return found;
  };

  const textContrast = () => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const holders = new Set(all("input:not([type=hidden], [type=radio], [type=checkbox])"));
    while (walker.nextNode()) {
      if (walker.currentNode.data.trim()) holders.add(walker.currentNode.parentElement);
    }
    const ratio = (one) => contrast(colour(style(one).color), ground(one));
    return wrong([...holders].filter(isShown), (one) => ratio(one) >= 4.5, ratio);
  };

  const borderContrast = () => {
    const behind = (one) => ground(one.parentElement);
    const edge = (one) => contrast(colour(style(one).borderTopColor), behind(one));
    const face = (one) => Math.max(edge(one), contrast(ground(one), behind(one)));
    return [
      ...wrong(all(".og-input, .og-options, .og-button"), (one) => edge(one) >= 3, edge),
      ...wrong(all(".og-button-main"), (one) => face(one) >= 3, face),
    ];
  };

  const focus = () => {
    const active = document.activeElement;
    const found = all("input:not([type=hidden]), button, a, summary").flatMap((one) => {
      one.focus({ focusVisible: true });
      const { outlineStyle, outlineWidth, outlineColor } = style(one);
      const ratio = contrast(colour(outlineColor), ground(one.parentElement));
      const isSeen = outlineStyle === "solid" && parseFloat(outlineWidth) >= 2 && ratio >= 3;
      return isSeen ? [] : [`${named(one)} ${outlineStyle} ${outlineWidth} ${ratio}`];
    });
    active.focus();
    return found;
  };

  const errors = () => {
    const wanted = token("--og-error");
    const ids = (one) => (one.getAttribute("aria-describedby") || "").split(" ");
    const says = (id) => document.getElementById(id)?.innerText.trim();
    return wrong(
      all("[aria-invalid=true]"),
      (one) =>
        style(one).borderTopWidth === "2px" &&
        style(one).borderTopColor === wanted &&
        ids(one).some((id) => (/^note$|-error$/.test(id) ? says(id) : false)),
      (one) => `${style(one).borderTop}, described by ${ids(one)}`,
    );
  };

  // ── size and place ──

  const targets = () => {
    const box = (one) => one.getBoundingClientRect();
    const size = (one) => `${box(one).width} x ${box(one).height}`;
    const large = all(".og-input, .og-button-main, .og-button, .og-option, .og-check");
    const small = all("a, button, summary");
    return [
      ...wrong(large, (one) => box(one).width >= 44 && box(one).height >= 43.99, size),
      ...wrong(small, (one) => box(one).width >= 24 && box(one).height >= 23.99, size),
    ];
  };

  const fits = () => {
    const { scrollWidth } = document.documentElement;
    const found = scrollWidth > innerWidth ? [`${scrollWidth} px wide in ${innerWidth}`] : [];
    const edges = (one) => [one.getBoundingClientRect().left, one.getBoundingClientRect().right];
    const isInside = (one) => edges(one)[0] >= -0.5 && edges(one)[1] <= innerWidth + 0.5;
    return [
      ...found,
      ...wrong(all("body *"), isInside, edges),
      ...wrong(all(".og-title, .og-label, button, summary"), (one) => one.scrollWidth <= one.clientWidth + 1 || style(one).display === "inline", (one) => `cut off: ${one.scrollWidth} > ${one.clientWidth}`),
    ];
  };

  const headingLines = () => {
    const title = document.getElementById("title");
    return Math.round(title.getBoundingClientRect().height / parseFloat(style(title).lineHeight));
  };

  const showButtons = () =>
    wrong(
      all(".og-show"),
      (one) => {
        const input = document.getElementById(one.getAttribute("aria-controls"));
        const label = one.textContent;
        const isRight = [label, one.dataset.other].map((text) => {
          one.textContent = text;
          const [own, field] = [one.getBoundingClientRect(), input.getBoundingClientRect()];
          const isAtEnd =
            document.dir === "rtl" ? own.left - field.left < 4 : field.right - own.right < 4;
          return isAtEnd && own.width <= parseFloat(style(input).paddingInlineEnd) + 1;
        });
        one.textContent = label;
        return isRight.every(Boolean);
      },
      (one) => `is not in its place: ${JSON.stringify(one.getBoundingClientRect())}`,
    );

  // What can be done with a thing of a list is at the end of its line, also if it needs another line.
  const rows = () => {
    const isRight = document.dir !== "rtl";
    const end = (one) => one.getBoundingClientRect()[isRight ? "right" : "left"];
    const lists = all(".og-row").filter((row) => row.querySelector(".og-what"));
    return wrong(
      lists.filter((row) => row.querySelector("button, a")),
      (row) => Math.abs(end(row) - end([...row.querySelectorAll("button, a")].at(-1))) < 1,
      () => "has a button in the middle",
    );
  };

  // ── words and structure ──

  // The same words can be about different things: those of a list, and of fields.
  const about = (one) => {
    const ids = (one.getAttribute("aria-describedby") || "").split(" ");
    if (one.matches("button, a")) return ids.map((id) => document.getElementById(id)?.innerText || "").join();
    if (one.matches(".og-second")) return one.closest(".og-row")?.innerText || "";
    return one.matches(".og-error") ? one.closest(".og-field").querySelector("label").innerText : "";
  };
  const twice = (elements) => {
    const seen = new Map();
    for (const one of elements) {
      const text = one.innerText.trim();
      const key = `${text} ${about(one)}`.trim();
      if (text) seen.set(key, [...(seen.get(key) || []), named(one)]);
    }
    return [...seen.values()].filter((found) => found.length > 1).map(String);
  };

  const repetitions = () => [
    ...twice(all("h1, .og-lead, .og-account, .og-note, legend, .og-label, .og-error, .og-hint, .og-small, .og-step, .og-second, .og-rule, .og-option > span")),
    ...twice(all("button, a, summary")),
  ];

  const inputs = () => {
    const fields = all("input:not([type=hidden])");
    const typed = fields.filter((one) => !/^(radio|checkbox)$/.test(one.type));
    const isLabelled = (one) => [...one.labels].some((label) => label.innerText.trim());
    const last = (one) => {
      const own = typed.filter((other) => other.form === one.form);
      return own.at(-1) === one ? "go" : "next";
    };
    const isPhone = (one) => one.inputMode === "tel" || one.type === "tel";
    const isCode = (one) => one.classList.contains("og-code");
    return [
      ...wrong(fields, isLabelled, () => "has no label"),
      ...wrong(typed, (one) => one.hasAttribute("autocomplete"), () => "has no autocomplete"),
      ...wrong(typed, (one) => one.enterKeyHint === last(one), (one) => `enterkeyhint ${one.enterKeyHint}, not ${last(one)}`),
      ...wrong(typed.filter((one) => one.type === "email"), (one) => one.inputMode === "email", () => "has another inputmode"),
      ...wrong(typed.filter((one) => one.autocomplete.startsWith("tel")), isPhone, () => "is no phone number"),
      ...wrong(
        typed.filter(isCode),
        (one) =>
          one.autocomplete === "one-time-code" && one.inputMode === "numeric" && one.dir === "ltr" &&
          style(one).direction === "ltr" && style(one).fontSize === "24px" &&
          style(one).fontVariantNumeric === "tabular-nums",
        (one) => `${one.autocomplete} ${one.inputMode} ${one.dir} ${style(one).fontSize} ${style(one).fontVariantNumeric}`,
      ),
    ];
  };

  const references = () => {
    const names = ["aria-describedby", "aria-labelledby", "aria-controls", "for", "form"];
    const dangling = names.flatMap((name) =>
      [...document.querySelectorAll(`[${name}]`)].flatMap((one) =>
        one.getAttribute(name).split(" ").filter((id) => !document.getElementById(id)).map((id) => `${named(one)} ${name} ${id}`),
      ),
    );
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    return [...dangling, ...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `twice: ${id}`)];
  };

  const passwordForms = () =>
    wrong(
      [...document.querySelectorAll("input[type=password]")],
      (one) => {
        const name = one.form.querySelector("[autocomplete^=username]");
        return name && name.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING;
      },
      () => "has no field for the name before it",
    );

  const eventOf = (button) => button.form?.elements._event?.value || "";
  const actions = () => {
    const main = all(".og-button-main");
    const others = all(".og-button").filter((one) => !one.closest("details, #remember-device, .og-others") && !("passkeys" in one.dataset));
    const isEnd = (one) => /^(cancel|sign_out)$/.test(eventOf(one));
    const isWaiting = document.querySelector("main[aria-busy]:not([data-refresh='0'])");
    const isWithoutScript = document.querySelector("[data-passkey]") && all("noscript > *").length;
    const isList = document.querySelector(".og-what"); // of what can be changed: each has a link
    const wanted = isWaiting || isWithoutScript || isList ? 0 : 1;
    return [
      ...(main.length === wanted ? [] : [`${main.length} main buttons`]),
      ...wrong(main, (one) => !isEnd(one), () => "is the main button"),
      ...others.map((one) => `${named(one)} is no link`),
      ...wrong(all("main button").filter(isEnd), (one) => one.classList.contains("og-link"), () => "is no link"),
    ];
  };

  // The first field that is wrong, or else empty, or else the first one; the button if there is none.
  // Not the code of an authenticator: it would scroll the steps before it out of sight.
  // Nor a deletion: Enter, held down on the link before, would be its confirmation.
  const focusedAtFirst = () => {
    const fields = all("main > .og-form input:not([type=hidden], [type=checkbox])");
    const buttons = all("main > .og-form button:not([type=button])");
    const isEmpty = (one) => !one.getAttribute("value");
    const wanted = fields.find((one) => one.ariaInvalid) || fields.find(isEmpty) || fields[0];
    const isLong = document.querySelector(".og-steps") && !wanted?.ariaInvalid;
    const isDeletion = document.getElementById("delete-account");
    const alone = fields.length || buttons.length > 1 || isDeletion ? undefined : buttons[0];
    const right = (isLong ? undefined : wanted || alone) || document.body;
    return document.activeElement === right ? [] : [`${named(document.activeElement)}, not ${named(right)}`];
  };

  const title = () => {
    const heading = document.getElementById("title").innerText.trim();
    return document.title.includes(heading) && document.querySelectorAll("h1").length === 1
      ? [] : [`${document.title}: ${heading}`];
  };

  const forced = () =>
    wrong(
      all(".og-note, .og-button-main, .og-input, .og-options, .og-button"),
      (one) => {
        const { borderTopStyle, borderTopWidth, borderTopColor } = style(one);
        const least = one.matches(".og-note") ? 2 : one.matches(".og-button-main") ? 3 : 1;
        const ratio = contrast(colour(borderTopColor), ground(one.parentElement));
        return borderTopStyle === "solid" && parseFloat(borderTopWidth) >= least && ratio >= 3;
      },
      (one) => style(one).borderTop,
    );

  const withoutScript = () => [
    ...all(".og-script").map((one) => `${named(one)} is shown`),
    ...wrong(
      all("button, summary"),
      (one) => one.localName === "summary" || (one.type === "submit" && one.form && !one.ariaDisabled),
      () => "does nothing",
    ),
  ];

  const colours = { textContrast, borderContrast, focus, errors };
  const structure = { focusedAtFirst, actions, title, repetitions, inputs, references, passwordForms, showButtons };
  const place = { targets, fits, rows, showButtons };
  const parts = { colours, structure, place, forced: { textContrast, focus, forced }, withoutScript: { withoutScript, actions } };
  return {
    /** Return what is wrong, by the part that found it. */
    run: (name) =>
      Object.entries(parts[name]).flatMap(([part, check]) => check().map((found) => `${part}: ${found}`)),
    headingLines,
    top: () => document.getElementById("title").getBoundingClientRect().top + scrollY,
  };
})();
