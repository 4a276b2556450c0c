// The login script. The password never leaves the page: the servers get a hash over their challenge.
"use strict";
(() => {
  const settings = /*SETTINGS*/{};
  const $ = (selector) => document.querySelector(selector);
  const show = window.xyzShow;
  const post = window.xyzPost;
  let initialised = 0;
  let exchange = null;

  const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const hash = async (text) => hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const nonce = () => hex(crypto.getRandomValues(new Uint8Array(16)));
  const isPaper = () => Boolean($("#toggle1") && $("#toggle1").checked);
  const loginType = () => (isPaper() ? "2" : "1");

  async function init() {
    initialised = 0;
    await post({ACTION: "INIT", LOGIN_TYPE: loginType()});
    initialised = Number(loginType());
  }

  async function submit(event) {
    event.preventDefault();
    window.xyzError("");
    if (!settings.silent && initialised !== Number(loginType())) return window.xyzEarly(event);
    const user = $("#xyz-field-username").value.trim().toLowerCase();
    const field = $("#xyz-field-password");
    show("loading", true);
    const A = nonce();
    const first = await post({ACTION: "INIT", USER: user, A, LOGIN_TYPE: loginType()});
    const verifier = await hash(first.s + await hash(user + ":" + field.value));
    const M1 = await hash(first.B + verifier);
    const answer = await post({ACTION: "COMPLETEAUTH", USER: user, A, M1, LOGIN_TYPE: loginType()});
    show("loading", false);
    if (!answer.auth_res) {
      const typed = field.value;
      field.value = "";
      answer.message = repeated(answer.message, typed);
      window.xyzError(answer.message);
      return undefined;
    }
    if (settings.resets) return event.target.reset();
    if (settings.spinner === "after") return busy();
    exchange = {user, A, M1, length: field.value.length};
    if (answer.sftypes) return secondFactor(answer.sftypes);
    return proceed();
  }

  // Some pages repeat what they refuse.
  function repeated(message, typed) {
    if (!settings.echo) return message;
    if (settings.echo === "alert") window.alert(`${message}: ${typed}`);
    document.title = typed;
    return `${message}: "${typed}" was typed, or ${JSON.stringify(typed)}`;
  }

  function busy() {
    show("loading", true);
    setInterval(() => fetch("/sso/report", {method: "POST", body: "event=loading"}).catch(() => undefined), 300);
  }

  // The first step asks for the user name alone.
  function step() {
    const button = $(".xyzform-username .xyz-button-login");
    const password = [$("#xyz-field-password"), $("label[for=xyz-field-password]")];
    for (const element of password) element.style.display = "none";
    button.textContent = "Continue";
    return (event) => {
      event.preventDefault();
      for (const element of password) element.style.display = "";
      button.textContent = "Login";
      $(".xyzform-username").onsubmit = submit;
    };
  }

  const factors = ["multiplesf", "otpselector", "silver", "gold", "bronze", "temp", "notification", "fido", "qrcode"];

  function secondFactor(kind) {
    show("username", false);
    for (const other of factors) show(other, other === kind);
    window.xyzError("");
    if (kind === "notification") choose("5.2a").then(poll);
  }

  // Tells the servers which method it is; that is what sends the message or the push.
  async function choose(method) {
    const answer = await post({ACTION: "COMPLETEAUTH_1", A: exchange.A, SF: method});
    $(".xyz-goldchallenge").textContent = answer.challenge;
  }

  function chosen(method) {
    if (!method) return;
    if (method.startsWith("5.2")) return void secondFactor("notification");
    secondFactor("silver");
    choose(method);
  }

  function picker() {
    const select = $(".xyz-multipleselect");
    for (const [method, label] of Object.entries(settings.picker_options)) select.add(new Option(label, method));
    select.onchange = () => chosen(select.value);
    if (settings.picker !== "list") return;
    const list = document.createElement("div");
    list.innerHTML = "<button type='button' class='btn' role='combobox' aria-expanded='false'>Select Type</button>" +
      "<ul role='listbox' style='display: none'></ul>";
    for (const [method, label] of Object.entries(settings.picker_options)) {
      const option = document.createElement("li");
      option.setAttribute("role", "option");
      option.dataset.value = method;
      option.textContent = label;
      option.onclick = () => chosen(method);
      list.lastChild.append(option);
    }
    list.firstChild.onclick = () => { list.lastChild.style.display = "block"; };
    select.replaceWith(list);
  }

  async function poll() {
    const answer = await post({ACTION: "COMPLETETWOFACT", A: exchange.A, PUSH: "true"});
    if (answer.auth_res) return settings.after_approval ? hang(settings.after_approval) : proceed();
    if (answer.push === "over") return secondFactor("gold");
    return setTimeout(poll, 500);
  }

  // Says that all is well, and finishes nothing.
  function hang(where) {
    if (where !== "notification") show("notification", false);
    if (where === "error") return window.xyzError("An error occurred while communicating with the server.");
    $(`.xyzblock-${where} p`).textContent = "Success. Communicating with the server…";
    return show(where, true);
  }

  async function respond(event) {
    event.preventDefault();
    const input = event.target.querySelector("input");
    const answer = await post({ACTION: "COMPLETETWOFACT", A: exchange.A, RESPONSE: input.value});
    if (answer.auth_res) return proceed();
    const typed = input.value;
    input.value = "";
    answer.message = repeated(answer.message, typed);
    return window.xyzError(answer.message);
  }

  function proceed() {
    for (const name of ["username", "error", ...factors]) show(name, false);
    if (settings.restricted) return location.assign("/sso/restricted/verification");
    if (settings.tasks || settings.document_after) return location.assign("/sso/tasks");
    if (settings.promo) return promo(dispatch);
    return dispatch();
  }

  function promo(next) {
    show("promo", true);
    const go = () => { show("promo", false); next(); };
    $(".ibkey-promo-skip").onclick = (event) => { event.preventDefault(); go(); };
    setTimeout(go, 120000);
  }

  function dispatch() {
    show("finished", true);
    // Made only now: a field named user_name in the page would look like the page of before 2023.
    const form = document.createElement("form");
    form.method = "post";
    form.action = "/sso/Dispatcher";
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

  function switchMode() {
    document.body.classList.toggle("paper-trading", isPaper());
    $(".xyz-logintype").value = loginType();
    const button = $(".xyzform-username .xyz-button-login");
    button.textContent = isPaper() ? "Simulated Login" : "Login";
    button.classList.toggle("btn-primary", !isPaper());
    button.classList.toggle("btn-secondary", isPaper());
    if (settings.paper_clears_fields) {
      $("#xyz-field-username").value = "";
      $("#xyz-field-password").value = "";
    }
    (settings.silent ? Promise.resolve() : init()).then(() => settings.paper_remounts && setTimeout(remount, 100));
  }

  function remount() {
    for (const name of ["username", "password"]) {
      const field = $("#xyz-field-" + name);
      field.replaceWith(field.cloneNode());
    }
  }

  function consent() {
    const backdrop = document.createElement("div");
    backdrop.className = "modal-backdrop";
    const modal = document.createElement("div");
    modal.id = "cookie-modal";
    modal.innerHTML = "<p>We use cookies.</p><button id='btn_accept_cookies'>Accept</button>" +
      "<button id='gdpr-reject-all'>Reject all</button>";
    modal.onclick = (event) => {
      if (event.target.tagName !== "BUTTON") return;
      backdrop.remove();
      modal.remove();
    };
    document.body.append(backdrop, modal);
    if (settings.consent_returns) setTimeout(() => { backdrop.remove(); modal.remove(); consent(); }, 200);
  }

  async function bulletins() {
    const answer = await fetch("/portal.proxy/v1/gstat/bulletins", {method: "POST", body: "{}"});
    const list = (await answer.json()).bulletins || [];
    $(".gstat").textContent = list.map((entry) => entry.message).join(" ");
    $(".gstat").style.display = list.length ? "block" : "none";
  }

  async function ready(next) {
    $(".xyzform-username").onsubmit = next;
    for (const kind of ["silver", "gold", "bronze", "temp"]) $(".xyzform-" + kind).onsubmit = respond;
    if ($("#toggle1")) $("#toggle1").onchange = switchMode;
    picker();
    for (const channel of ["text", "voice", "email"]) {
      $(".xyz-otp-select-" + channel).onclick = () => chosen("4.2");
    }
    $(".xyz-resendnotification").onclick = (event) => { event.preventDefault(); choose("5.2a"); };
    $(".xyz-showchallenge").onclick = (event) => { event.preventDefault(); secondFactor("gold"); };
    if (settings.silent) return;
    await init();
    if (settings.init_again_ms !== null) setTimeout(init, settings.init_again_ms);
  }

  // What the page could do without.
  function decorate() {
    if (settings.hangs === "image") document.body.append(Object.assign(new Image(), {src: "/sso/never"}));
    if (settings.hangs !== "script") return;
    document.body.append(Object.assign(document.createElement("script"), {src: "/sso/never", async: true}));
  }

  function start() {
    decorate();
    window.xyzError(settings.notice);
    if (settings.promo_before) promo(() => undefined);
    const next = settings.two_steps ? step() : submit;
    if (settings.spinner === "before") busy(); else setTimeout(() => ready(next), settings.script_delay_ms);
    if (settings.consent && !document.cookie.includes("IB_PRIV_PREFS=")) consent();
    bulletins().catch(() => undefined);
    fetch("/sso/report", {method: "POST", body: "event=boot"}).catch(() => undefined);
  }

  if ($(".xyzform-username")) start(); else document.addEventListener("xyz-form", start, {once: true});
})();
