// Tables can be sorted by a column's heading. Without this script they stand in the order that they were written in.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].textContent;
      const missing = (text) => ["", "–"].includes(text.trim());
      const value = (text) => Number(text.replaceAll(",", "") || NaN);
      const compare = (a, b) => {
        const [without, other] = [missing(key(a)), missing(key(b))];
        if (without || other) return without - other; // what is missing stays below
        const [x, y] = [value(key(a)), value(key(b))];
        if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
        const order = Number.isNaN(x) ? key(a).localeCompare(key(b)) : x - y;
        return down ? -order : order;
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}
// MLflow shows the page in a frame in which a link to a file beside it leads to a blank page: there it is a name.
if (location.protocol === "blob:") {
  for (const link of document.querySelectorAll(".file a")) link.replaceWith(link.textContent);
}
