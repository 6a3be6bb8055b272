"use strict";
// The browser's part of passkeys. A form that says where a challenge begins (`data-begin`) is sent
// once the passkey has answered it, with the answer in the field `passkey`. Everything is decided by
// the issuer; without this script the forms stay hidden, or are refused with a reason.

(() => {
  const supported =
    typeof PublicKeyCredential === "function" &&
    typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function";

  const say = (form, words) => {
    const place = form.querySelector("[data-problem]");
    if (place) {
      place.textContent = words;
      place.hidden = false;
    }
  };

  // What the form would send, to where the challenge begins; `null` when it is refused there.
  const begin = async (form, body) => {
    const reply = await fetch(form.dataset.begin, {
      method: "POST",
      body: new URLSearchParams(body),
      credentials: "same-origin",
      redirect: "error",
    });
    if (reply.ok) {
      return reply.json();
    }
    say(form, `That was refused: ${reply.headers.get("bailiwick-code") || reply.status}.`);
    return null;
  };

  const get = (options) =>
    navigator.credentials.get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
    });

  const create = (options) =>
    navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
    });

  const answer = (form, name, credential) => {
    const field = form.elements[name] || document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = JSON.stringify(credential);
    form.append(field);
  };

  // Runs `ask` when the form is sent for the first time, then sends it with the answer.
  const intercept = (form, wanted, ask) => {
    let busy = false;
    form.addEventListener("submit", async (event) => {
      const button = event.submitter;
      if (!wanted(button) || form.querySelector("input[name=passkey]")) {
        return;
      }
      event.preventDefault();
      if (busy) {
        return;
      }
      busy = true;
      try {
        const credential = await ask(button);
        if (credential === false) {
          form.dataset.begin = "";
          wanted = () => false;
          form.requestSubmit(button);
        } else if (credential) {
          answer(form, "passkey", credential);
          form.requestSubmit(button);
        }
      } catch (error) {
        say(form, `The passkey did not answer (${error.name}). Nothing was sent.`);
      } finally {
        busy = false;
      }
    });
  };

  const always = () => true;
  const csrf = (form) => ({ csrf: form.elements.csrf.value });

  const add = document.getElementById("passkey-add");
  if (add && supported) {
    add.hidden = false;
    intercept(add, always, async () => {
      const wanted = await begin(add, csrf(add));
      if (wanted && wanted.touch) {
        // One that is there confirms the new one.
        answer(add, "touch", await get(wanted.touch));
      }
      return wanted && create(wanted.create);
    });
  }

  const signIn = document.getElementById("passkey-sign-in");
  if (signIn && supported) {
    signIn.hidden = false;
    intercept(signIn, always, async () => {
      const options = await begin(signIn, csrf(signIn));
      return options && get(options);
    });
  }

  const decision = document.getElementById("decision");
  if (decision && decision.dataset.begin) {
    const approves = (button) => Boolean(button) && button.value === "approve";
    intercept(decision, approves, async (button) => {
      if (!supported) {
        say(decision, "This browser has no passkeys.");
        return null;
      }
      const reply = await begin(decision, new FormData(decision, button));
      // What is ticked may be nothing that a passkey has to confirm.
      return reply && (reply.passkey === null ? false : get(reply.passkey));
    });
  }
})();
