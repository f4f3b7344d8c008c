// Sends a form with data-api="METHOD /path" as JSON and shows the page again, or the error's own words.
"use strict";

function value(input) {
  if (input.type === "checkbox") return input.checked;
  if (input.value === "") return null;
  return input.type === "number" || "number" in input.dataset ? Number(input.value) : input.value;
}

async function send(form) {
  const [method, path] = form.dataset.api.split(" ");
  const body = Object.fromEntries([...form.elements].filter((e) => e.name).map((e) => [e.name, value(e)]));
  const user = document.body.dataset.user;
  if (user && ["/roll", "/rate", "/skip", "/threads"].includes(path)) body.user_id = Number(user);
  const answer = await fetch(path, {
    method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  if (answer.ok) return path === "/sessions" ? location.assign("/" + location.search) : location.reload();
  const { detail, errors } = await answer.json();
  throw new Error(errors ? errors.map((e) => `${e.field}: ${e.message}`).join(", ") : detail);
}

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.api) return;
  event.preventDefault();
  send(event.target).catch((problem) => {
    const place = document.querySelector(".error");
    place.textContent = problem.message;
    place.hidden = false;
  });
});

document.addEventListener("change", (event) => {
  if ("submit" in event.target.dataset) event.target.form.submit();
});
