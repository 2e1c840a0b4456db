package columns

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// gap is what stands between two columns.
const gap = 2

// Column is one column of a Table.
type Column struct {
	Heading string
	// Least is how wide the column is at least, in characters, so that a table
	// keeps its look from one print to the next. Where the rows would be wider than
	// a line, such a column gives way as far as this: a cell that is longer then
	// ends its line, and the row goes on below in the next column. A column with 0
	// is as wide as its longest cell, always.
	Least int
	// Right sets the column flush right, as numbers are.
	Right bool
}

// Table is a heading and rows in columns that are as wide as what they hold, and
// prose between the rows. Cells are printed by Plain.
type Table struct {
	columns []Column
	rows    []row
}

// row is a row of cells, or without cells a paragraph.
type row struct {
	cells              []string
	lead, indent, text string
}

// NewTable gives a Table without rows.
func NewTable(columns ...Column) *Table { return &Table{columns: columns} }

// Headed gives a Table whose columns are as wide as their longest cell.
func Headed(headings ...string) *Table {
	t := &Table{}
	for _, h := range headings {
		t.columns = append(t.columns, Column{Heading: h})
	}
	return t
}

// Row adds a row; cells that are missing at its end stay empty.
func (t *Table) Row(cells ...string) {
	for i := range cells {
		cells[i] = Plain(cells[i])
	}
	t.rows = append(t.rows, row{cells: cells})
}

// Prose adds a paragraph below the last row, set as Wrap does.
func (t *Table) Prose(lead, indent, text string) {
	t.rows = append(t.rows, row{lead: lead, indent: indent, text: text})
}

// Empty reports whether there is nothing but the heading.
func (t *Table) Empty() bool { return len(t.rows) == 0 }

// Write prints heading, rows and prose. A table without headings begins with its
// first row. A write error is the writer's to remember: w is a buffer.
func (t *Table) Write(w io.Writer) {
	widths := t.widths()
	if headings := t.headings(); strings.Join(headings, "") != "" {
		t.writeRow(w, headings, widths)
	}
	for _, r := range t.rows {
		if r.cells == nil {
			Wrap(w, r.lead, r.indent, r.text)
			continue
		}
		t.writeRow(w, r.cells, widths)
	}
}

func (t *Table) headings() []string {
	var out []string
	for _, c := range t.columns {
		out = append(out, c.Heading)
	}
	return out
}

// widths gives the columns' widths: by the content, and where that is too wide
// for a line, with less for the columns that may give way.
func (t *Table) widths() []int {
	out, sum := make([]int, len(t.columns)), gap*(len(t.columns)-1)
	for i := range t.columns {
		out[i] = t.longest(i, -1)
		sum += out[i]
	}
	for i, c := range t.columns {
		if sum > Width && c.Least > 0 {
			narrower := t.longest(i, out[i]-(sum-Width))
			sum -= out[i] - narrower
			out[i] = narrower
		}
	}
	return out
}

// longest gives the width that a column's cells ask for, of those that are no
// longer than most; -1 is no bound.
func (t *Table) longest(column, most int) int {
	c := t.columns[column]
	width := max(c.Least, utf8.RuneCountInString(c.Heading))
	for _, r := range t.rows {
		if column >= len(r.cells) {
			continue
		}
		if n := utf8.RuneCountInString(r.cells[column]); most < 0 || n <= most {
			width = max(width, n)
		}
	}
	return width
}

// writeRow prints one row. A cell that is longer than its column ends the line,
// and one that would end past the last column of the terminal begins another.
func (t *Table) writeRow(w io.Writer, cells []string, widths []int) {
	line, start := "", 0
	for i, cell := range cells {
		long := utf8.RuneCountInString(cell)
		if strings.TrimSpace(line) != "" && utf8.RuneCountInString(line)+long > Width {
			fmt.Fprintln(w, strings.TrimRight(line, " "))
			line = "      "
		}
		start += widths[i] + gap
		if long > widths[i] && i < len(cells)-1 {
			fmt.Fprintln(w, line+cell)
			line = strings.Repeat(" ", start)
			continue
		}
		if t.columns[i].Right {
			cell = strings.Repeat(" ", max(0, widths[i]-long)) + cell
		}
		line += fmt.Sprintf("%-*s", widths[i]+gap, cell)
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}
