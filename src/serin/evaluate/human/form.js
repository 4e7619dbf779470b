"use strict";
(() => {
  const sheet = JSON.parse(document.getElementById("sheet").textContent);
  const items = sheet.items;
  const kept = `serin-sheet-${sheet.id}`;
  const at = (id) => document.getElementById(id);
  const choices = [...document.querySelectorAll("[data-better]")];

  // What was rated, by the item's number: {better: "1" | "2" | "0" | "", comment}.
  let state = { here: 1, ratings: {} };
  let isKept = true;
  let isSaved = false;

  const load = () => {
    try {
      const found = JSON.parse(localStorage.getItem(kept));
      if (found && found.ratings && items[found.here - 1]) state = found;
    } catch {
      isKept = false;
    }
  };
  const keep = () => {
    isSaved = false;
    try {
      localStorage.setItem(kept, JSON.stringify(state));
    } catch {
      isKept = false;
    }
    at("unkept").hidden = isKept;
  };
  const rating = (number) => state.ratings[number] || { better: "", comment: "" };
  const isRated = (number) => rating(number).better !== "";
  const rated = () => items.filter((_, index) => isRated(index + 1)).length;

  // The next item without a rating after this one, from the top again where there is none below; null: all are rated.
  const nextOpen = () => {
    for (let step = 1; step <= items.length; step++) {
      const number = ((state.here - 1 + step) % items.length) + 1;
      if (!isRated(number)) return number;
    }
    return null;
  };

  const fill = (id, text, language) => {
    const place = at(id);
    place.textContent = text || "(no answer)";
    place.classList.toggle("empty", !text);
    if (text && language !== "und") place.lang = language;
    else place.removeAttribute("lang");
  };
  const show = () => {
    const number = state.here;
    const item = items[number - 1];
    const { better, comment } = rating(number);
    at("number").textContent = `Question ${number} of ${items.length}`;
    fill("question", item.question, item.language);
    fill("reference", item.reference, item.language);
    at("reference-part").hidden = !item.reference;
    fill("answer-1", item.answer_1, item.language);
    fill("answer-2", item.answer_2, item.language);
    for (const button of choices) button.setAttribute("aria-pressed", String(button.dataset.better === better));
    for (const side of ["1", "2"]) at(`side-${side}`).classList.toggle("chosen", better === side);
    at("comment").value = comment;
    at("go").value = number;
    at("previous").disabled = number === 1;
    at("next").disabled = number === items.length;
    tell();
  };
  const tell = () => {
    const done = rated();
    const isDone = done === items.length;
    at("done").value = done;
    at("count").textContent = `${done} of ${items.length} rated`;
    at("open").disabled = isDone;
    at("save").classList.toggle("main", isDone);
    if (isSaved) at("says").textContent = `Saved as ${fileName()}. Send that file back.`;
    else if (isDone) at("says").textContent = "All are rated. Save the ratings, and send the file back.";
    else at("says").textContent = "Your ratings stay in this browser until you have saved them.";
  };
  const goTo = (number) => {
    if (!items[number - 1]) return;
    state = { ...state, here: number };
    keep();
    show();
    scrollTo(0, 0);
    at("number").focus({ preventScroll: true });
  };
  const change = (what) => {
    state = { ...state, ratings: { ...state.ratings, [state.here]: { ...rating(state.here), ...what } } };
    keep();
  };
  const choose = (better) => {
    change({ better });
    if (state.here < items.length) goTo(state.here + 1);
    else show();
  };

  // As `guarded` of the spreadsheet module: a comment must not become a formula where the file is opened.
  const cell = (text) => {
    const guarded = /^[=+\-@＝＋－＠\t\r\n']/.test(text) || /^[^\p{L}]+$/u.test(text) ? `'${text}` : text;
    return `"${guarded.replaceAll('"', '""')}"`;
  };
  const fileName = () => `ratings-${sheet.id}.csv`;
  const save = () => {
    const rows = items.map((_, index) => {
      const { better, comment } = rating(index + 1);
      return `"${sheet.id}","${index + 1}","${better}",${comment.trim() ? cell(comment.trim()) : '""'}`;
    });
    const text = ["\uFEFFsheet,item,better,comment", ...rows, ""].join("\r\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = fileName();
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    isSaved = true;
    tell();
  };

  for (const button of choices) button.addEventListener("click", () => choose(button.dataset.better));
  at("comment").addEventListener("input", () => change({ comment: at("comment").value }));
  at("previous").addEventListener("click", () => goTo(state.here - 1));
  at("next").addEventListener("click", () => goTo(state.here + 1));
  at("open").addEventListener("click", () => goTo(nextOpen() || state.here));
  at("go").addEventListener("change", () => goTo(Number(at("go").value)));
  at("save").addEventListener("click", save);
  addEventListener("keydown", (event) => {
    if (event.target.matches("textarea, input") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (["0", "1", "2"].includes(event.key)) choose(event.key);
    else if (event.key === "ArrowLeft") goTo(state.here - 1);
    else if (event.key === "ArrowRight") goTo(state.here + 1);
    else return;
    event.preventDefault();
  });
  addEventListener("beforeunload", (event) => {
    if (!isKept && !isSaved && rated() > 0) event.preventDefault();
  });

  load();
  keep();
  show();
})();
