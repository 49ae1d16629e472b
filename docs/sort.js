// A click on a head sorts the tables of class "sortable": by the first number of each cell where there is one, else as
// text; empty cells come last. A second click turns the order round.
for (const table of document.querySelectorAll(".sortable table")) {
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => row.cells[column].textContent.trim().replaceAll(",", "");
  heads.forEach((head, column) => {
    const sort = () => {
      const turned = head.ariaSort === "ascending";
      const compare = (a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        if (!x || !y) return !x - !y;
        const [p, q] = [parseFloat(x), parseFloat(y)];
        const order = isNaN(p) || isNaN(q) ? isNaN(p) - isNaN(q) || x.localeCompare(y) : p - q;
        return turned ? -order : order;
      };
      const rows = [...table.tBodies[0].rows].sort(compare);
      for (const other of heads) other.ariaSort = null;
      head.ariaSort = turned ? "descending" : "ascending";
      table.tBodies[0].append(...rows);
    };
    head.tabIndex = 0;
    head.style.cursor = "pointer";
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => event.key === "Enter" && sort());
  });
}
