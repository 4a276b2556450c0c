// The script of a redesigned login page: the steps of today's page, whatever its elements look like.
"use strict";
(() => {
  const settings = /*SETTINGS*/{};
  const {mounts, two_steps: twoSteps, busy: busyKind, error: errorKind, talks_first: talksFirst} = settings.redesign;
  let paper = false;
  let initialised = 0;
  let exchange = null;

  const roots = function* (root) {
    yield root;
    for (const element of root.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot);
  };
  const search = (selector) => {
    for (const root of roots(document)) {
      const found = root.querySelector(selector);
      if (found) return found;
    }
    return null;
  };
  const parts = {};
  for (const [role, selector] of Object.entries(settings.parts)) parts[role] = search(selector);

  // A page that mounts keeps out of the document what it does not show.
  const places = {};
  const show = (role, visible) => {
    const part = parts[role];
    if (!part) return;
    if (!mounts) { part.style.display = visible ? "" : "none"; return; }
    part.style.display = "";
    if (visible && places[role]) { places[role].replaceWith(part); delete places[role]; }
    if (!visible && !places[role]) { places[role] = document.createComment(""); part.replaceWith(places[role]); }
  };

  const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const hash = async (text) => hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const nonce = () => hex(crypto.getRandomValues(new Uint8Array(16)));
  const loginType = () => (paper ? "2" : "1");
  const post = async (fields) => {
    const answer = await fetch("/sso/Authenticator", {
      method: "POST", body: new URLSearchParams({RESP_TYPE: "JSON", SERVICE: "AM.LOGIN", ...fields})});
    return answer.json();
  };

  function showError(text) {
    const error = parts.error;
    error.textContent = text;
    if (errorKind === "described" && text) parts.password.setAttribute("aria-invalid", "true");
    if (errorKind === "toast" && text) {
      const toast = document.createElement("div");
      toast.textContent = text;
      toast.style.cssText = "position: fixed; right: 20px; bottom: 20px; background: #b00020; color: #fff; padding: 12px";
      document.body.append(toast);
      return;
    }
    show("error", Boolean(text));
  }

  function setBusy(on) {
    const control = parts.submit;
    if (busyKind === "aria-busy") parts.credentials.setAttribute("aria-busy", String(on));
    if (busyKind === "overlay") show("busy", on);
    if (busyKind === "disabled") control.toggleAttribute("disabled", on);
  }

  async function init() {
    await post({ACTION: "INIT", LOGIN_TYPE: loginType()});
    initialised = Number(loginType());
  }

  // What is submitted before the script is ready goes out without a proof.
  async function early(event) {
    event.preventDefault();
    await post({ACTION: "COMPLETEAUTH", USER: parts.username.value, A: "", M1: ""});
    showError(settings.texts.refused);
  }

  async function submit(event) {
    event.preventDefault();
    if (exchange === "under way") return undefined;
    showError("");
    if (talksFirst && initialised !== Number(loginType())) return early(event);
    const user = parts.username.value.trim().toLowerCase();
    const typed = parts.password.value;
    if (!user || !typed) return undefined;
    exchange = "under way";
    setBusy(true);
    const A = nonce();
    const first = await post({ACTION: "INIT", USER: user, A, LOGIN_TYPE: loginType()});
    const M1 = await hash(first.B + await hash(first.s + await hash(user + ":" + typed)));
    const answer = await post({ACTION: "COMPLETEAUTH", USER: user, A, M1, LOGIN_TYPE: loginType()});
    setBusy(false);
    exchange = null;
    if (!answer.auth_res) {
      parts.password.value = "";
      return showError(settings.error_text || settings.texts.refused);
    }
    exchange = {user, A, M1, length: typed.length};
    show("credentials", false);
    if (answer.sftypes === "multiplesf") return show("picker", true);
    if (answer.sftypes) return ask(answer.sftypes === "notification" ? "5.2a" : "4");
    return dispatch();
  }

  async function ask(method) {
    show("picker", false);
    await post({ACTION: "COMPLETEAUTH_1", A: exchange.A, SF: method});
    if (!method.startsWith("5.2")) return show("code", true);
    return poll();
  }

  async function poll() {
    const answer = await post({ACTION: "COMPLETETWOFACT", A: exchange.A, PUSH: "true"});
    if (answer.auth_res) return dispatch();
    return setTimeout(poll, 500);
  }

  async function respond(event) {
    event.preventDefault();
    const answer = await post({ACTION: "COMPLETETWOFACT", A: exchange.A, RESPONSE: parts["code-field"].value});
    if (answer.auth_res) return dispatch();
    parts["code-field"].value = "";
    return showError(answer.message);
  }

  function dispatch() {
    for (const role of ["credentials", "code", "picker"]) show(role, false);
    if (settings.document_after) return window.top.location.assign("/sso/tasks");
    show("finished", true);
    const form = document.createElement("form");
    form.method = "post";
    form.action = "/sso/Dispatcher";
    form.target = "_top";
    form.hidden = true;
    const fields = {user_name: exchange.user, password: "*".repeat(exchange.length), loginType: loginType(),
      forwardTo: "22", A: exchange.A, M1: exchange.M1};
    for (const [name, value] of Object.entries(fields)) {
      const input = document.createElement("input");
      input.type = "hidden";
      input.name = name;
      input.value = value;
      form.append(input);
    }
    document.body.append(form);
    form.submit();
  }

  function picker() {
    const methods = Object.entries(settings.picker_options);
    if (settings.picker === "select") {
      const select = document.createElement("select");
      select.add(new Option(settings.texts.method, ""));
      for (const [method, label] of methods) select.add(new Option(label, method));
      select.onchange = () => select.value && ask(select.value);
      parts.picker.append(select);
      return;
    }
    for (const [method, label] of methods) {
      const option = document.createElement(settings.picker === "radio" ? "label" : "button");
      option.textContent = label;
      if (settings.picker === "radio") {
        const radio = document.createElement("input");
        radio.type = "radio";
        radio.onchange = () => ask(method);
        option.append(radio);
      } else {
        option.onclick = () => ask(method);
      }
      parts.picker.append(option);
    }
  }

  function setPaper(value) {
    paper = value;
    return init();
  }

  function paperControl() {
    const control = parts.paper;
    if (settings.paper === "checkbox") control.onchange = () => setPaper(control.checked);
    if (settings.paper === "select") control.onchange = () => setPaper(control.value === "b");
    if (settings.paper === "radio") control.onchange = (event) => setPaper(event.target.value === "b");
    if (settings.paper === "switch") control.onclick = () => {
      control.setAttribute("aria-checked", String(!paper));
      setPaper(!paper);
    };
    if (settings.paper === "tabs") [...control.children].forEach((tab, index) => {
      tab.onclick = () => {
        [...control.children].forEach((other) => other.setAttribute("aria-selected", String(other === tab)));
        setPaper(index === 1);
      };
    });
  }

  const bind = (submits, goesOn, responds) => {
    const {credentials, submit: button, next, code} = parts;
    if (credentials.tagName === "FORM") credentials.onsubmit = twoSteps && next.isConnected ? goesOn : submits;
    button.onclick = submits;
    if (next) next.onclick = goesOn;
    code.onsubmit = responds;
    parts["code-submit"].onclick = responds;
  };

  function goOn(event) {
    event.preventDefault();
    if (!parts.username.value.trim()) return;
    show("next", false);
    show("password-holder", true);
    show("submit", true);
    if (parts.credentials.tagName === "FORM") parts.credentials.onsubmit = submit;
  }

  // The servers of the tests are told what is typed where, so that a password in another field is seen.
  function tell() {
    const known = new Map(Object.entries(parts).map(([role, part]) => [part, role]));
    const listen = (event) => {
      const field = event.composedPath()[0];
      const role = known.get(field) || "other";
      if (role === "password" || typeof field.value !== "string" || !field.value) return;
      fetch("/sso/report", {method: "POST", body: new URLSearchParams({event: "typed", role, value: field.value})})
        .catch(() => undefined);
    };
    document.addEventListener("input", listen, true);
    document.addEventListener("change", listen, true);
  }

  async function ready() {
    bind(submit, goOn, respond);
    if (parts.paper) paperControl();
    picker();
    if (talksFirst) await init();
  }

  tell();
  bind(early, (event) => event.preventDefault(), (event) => event.preventDefault());
  for (const role of ["error", "busy", "finished", "code", "picker"]) show(role, false);
  if (twoSteps) for (const role of ["password-holder", "submit"]) show(role, false);
  setTimeout(ready, settings.script_delay_ms);
})();
